"""What people do with rollouts: look, pause, resume, abort, send on. Blocking; every deed is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from farshore_hub.errors import Conflict, Unknown
from farshore_hub.orders.config import strategy_of
from farshore_hub.orders.rollout import LIVE, RolloutState
from farshore_hub.orders.said import checked_note
from farshore_hub.orders.steering import part_of
from farshore_hub.orders.views import DeedView, MemberView, RolloutStoryView, RolloutView
from farshore_hub.store import deeds, rollouts
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.rollouts import MemberRow, RolloutRow
from farshore_hub.store.told import Told, tell
from farshore_protocol.ports import Clock


@dataclass(frozen=True, slots=True)
class RolloutDesk:
    """Where people look after rollouts."""

    engine: Engine
    clock: Clock

    def listed(self, limit: int = 100) -> list[RolloutView]:
        """The newest rollouts."""
        with reading(self.engine) as connection:
            return [
                rollout_view(row, rollouts.members(connection, row.id)) for row in rollouts.listed(connection, limit)
            ]

    def story(self, number: int) -> RolloutStoryView:
        """A rollout with its sites, and who did what.

        Raises:
            Unknown: there is none of that number.
        """
        with reading(self.engine) as connection:
            row = _found(rollouts.find(connection, number), number)
            members = rollouts.members(connection, number)
            done = deeds.deeds(connection, f"rollout {number}", 1000)
        return RolloutStoryView(
            rollout=rollout_view(row, members),
            sites=[_member_view(each) for each in members],
            events=[DeedView.model_validate(each) for each in reversed(done)],
        )

    def pause(self, number: int, by: str, note: str = "") -> RolloutView:
        """Stop a rollout for now: no further site is ordered anything.

        Raises:
            Unknown: there is none of that number.
            Conflict: it does not run.
        """
        return self._change(number, "paused", by, note, lambda row: _to(row, RolloutState.PAUSED, RolloutState.RUNNING))

    def resume(self, number: int, by: str, note: str = "") -> RolloutView:
        """Let a rollout that was paused, or has halted, go on. What halted it may halt it again.

        Raises:
            Unknown: there is none of that number.
            Conflict: it was not stopped.
        """
        stopped = (RolloutState.PAUSED, RolloutState.HALTED)
        return self._change(number, "resumed", by, note, lambda row: _to(row, RolloutState.RUNNING, *stopped))

    def abort(self, number: int, by: str, note: str = "") -> RolloutView:
        """End a rollout: sites that have the settings keep them, no other gets them.

        Raises:
            Unknown: there is none of that number.
            Conflict: it is over.
        """
        now_us = self.clock.now_us()
        return self._change(
            number, "aborted", by, note, lambda row: _to(row, RolloutState.ABORTED, *LIVE) | {"ended_us": now_us}
        )

    def advance(self, number: int, by: str, note: str = "") -> RolloutView:
        """Go on to the next stage now, whatever this one waits for.

        Raises:
            Unknown: there is none of that number.
            Conflict: it is over, or in its last stage.
        """
        now_us = self.clock.now_us()

        def values(row: RolloutRow) -> dict[str, Any]:
            if row.stage + 1 >= len(strategy_of(row.strategy).stages):
                raise Conflict(f"rollout {row.id} is in its last stage")
            return _to(row, RolloutState.RUNNING, *LIVE) | {"stage": row.stage + 1, "stage_us": now_us}

        return self._change(number, "sent on", by, note, values)

    def _change(
        self, number: int, deed: str, by: str, note: str, values: Callable[[RolloutRow], dict[str, Any]]
    ) -> RolloutView:
        said = f"{deed} by {by}" + (f": {checked_note(note)}" if note else "")
        with writing(self.engine) as connection:
            row = _found(rollouts.find(connection, number, lock=True), number)
            rollouts.change(connection, number, values(row) | {"why": said})
            tell(connection, Told.ROLLOUTS)
            deeds.note(connection, DeedRow(self.clock.now_us(), by, f"rollout {number}", deed, note))
            changed = _found(rollouts.find(connection, number), number)
            return rollout_view(changed, rollouts.members(connection, number))


def rollout_view(row: RolloutRow, members: list[MemberRow]) -> RolloutView:
    """A rollout for people and scripts."""
    strategy = strategy_of(row.strategy)
    counts: dict[str, int] = {}
    for each in members:
        part = part_of(each).value
        counts[part] = counts.get(part, 0) + 1
    return RolloutView(
        id=row.id,
        revision=row.revision,
        state=RolloutState(row.state),
        stages=list(strategy.stages),
        stage=row.stage + 1,
        soak_s=strategy.soak_s,
        halt=dict(strategy.halt),
        made_us=row.made_us,
        made_by=row.made_by,
        ended_us=row.ended_us,
        why=row.why,
        sites=len(members),
        counts=counts,
    )


def _member_view(row: MemberRow) -> MemberView:
    return MemberView(
        site=row.site,
        stage=row.stage + 1,
        part=part_of(row),
        problems=row.problems or ([row.text] if row.text else []),
        is_introduced=row.is_introduced,
        ordered_us=row.ordered_us,
        settled_us=row.settled_us,
        heard_us=row.heard_us,
    )


def _to(row: RolloutRow, state: RolloutState, *allowed: RolloutState) -> dict[str, Any]:
    if row.state not in allowed:
        raise Conflict(f"rollout {row.id} is {row.state}")
    return {"state": state.value}


def _found(row: RolloutRow | None, number: int) -> RolloutRow:
    if row is None:
        raise Unknown(f"there is no rollout {number}", remedy="farshore-hub rollout list shows them")
    return row
