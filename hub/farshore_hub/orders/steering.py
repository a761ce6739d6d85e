"""The loop behind rollouts and commands: orders what is due, decides what is next. Of several processes one steers.

Everything that it knows is in the database: it can be killed at any point and another process goes on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine

from farshore_hub.errors import HubError
from farshore_hub.orders.config import is_same, strategy_of
from farshore_hub.orders.fleet_settings import FleetSettings
from farshore_hub.orders.layers import Layers, read_layers
from farshore_hub.orders.making import Maker, NewSettings
from farshore_hub.orders.rollout import Member, Move, Part, RolloutState, Step, decide
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.store import config, deeds, fleet, orders, rollouts, site_reports
from farshore_hub.store.accounts import read_troubled
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.leases import give_lease_back, take_lease
from farshore_hub.store.rollouts import MemberRow, RolloutRow
from farshore_hub.work.bell import Bell
from farshore_protocol.ports import Clock, Random, Runner

EVERY_S: Final = 2
AT_ONCE: Final = 200
"""Orders of one transaction: parcels wait no longer than that takes."""

_DUTY: Final = "steer"
_LEASE_US: Final = 30_000_000
_TIDY_EVERY_S: Final = 3600
_DAY_US: Final = 86_400_000_000
DATA_KEPT_US: Final = 30 * _DAY_US
"""For how long what answers to commands brought is kept."""

COMMANDS_KEPT_US: Final = 400 * _DAY_US
_NOBODY: Final = ""
"""Who does what the hub does by itself."""

_log: Final = logging.getLogger(__name__)


class Steering:
    """Steers. All its work is done on `runner`, one piece after the other.

    Attributes:
        is_ours: this process steers; the others of the hub do not.
        bell: wakes it.
    """

    def __init__(self, engine: Engine, keys: ReceivingKeys, clock: Clock, random: Random, runner: Runner) -> None:
        self.is_ours = False
        self.bell = Bell()
        self._engine = engine
        self._keys = keys
        self._clock = clock
        self._runner = runner
        self._holder = random.token(8)
        self._layers: dict[int, Layers] = {}
        self._tidy_at_s = 0.0

    async def run(self) -> None:
        """Steer, until cancelled."""
        try:
            while True:
                await self._runner(self.turn)
                await self.bell.sleep(self._clock, EVERY_S)
        finally:
            await self._runner(self.release)

    def turn(self) -> None:
        """Do what is due, if it is this process that steers. Blocking."""
        with writing(self._engine) as connection:
            self.is_ours = take_lease(connection, _DUTY, self._holder, self._clock.now_us(), _LEASE_US)
        if not self.is_ours:
            return
        self._commands()
        with reading(self._engine) as connection:
            base, live = rollouts.base(connection), rollouts.live(connection)
        if base is not None:
            self._welcome(base)
            self._order(base)
        if live is not None and live.state == RolloutState.RUNNING:
            self._order(live)
            self._decide(live)
        self._tidy()

    def release(self) -> None:
        """Let another process steer. Blocking."""
        with writing(self._engine) as connection:
            give_lease_back(connection, _DUTY, self._holder)
        self.is_ours = False

    def _commands(self) -> None:
        now_us = self._clock.now_us()
        with reading(self._engine) as connection:
            is_due = orders.has_expired(connection, now_us) or orders.next_commands(connection)
        if is_due:
            with writing(self._engine) as connection:
                orders.expire(connection, now_us)
                Maker(self._keys, now_us, _NOBODY).commands(connection)

    def _tidy(self) -> None:
        now_us, now_s = self._clock.now_us(), self._clock.monotonic_s()
        if now_s >= self._tidy_at_s:
            self._tidy_at_s = now_s + _TIDY_EVERY_S
            with writing(self._engine) as connection:
                orders.forget(connection, now_us - DATA_KEPT_US, now_us - COMMANDS_KEPT_US)

    def _welcome(self, base: RolloutRow) -> None:
        """Let sites take part that came after the rollout had begun."""
        with reading(self._engine) as connection:
            new = rollouts.newcomers(connection, base.id, AT_ONCE)
        if new:
            with writing(self._engine) as connection:
                rollouts.add_members(connection, base.id, [(site_id, base.stage) for site_id in new])

    def _order(self, rollout: RolloutRow) -> None:
        """Order what is due in a rollout, some sites at a time."""
        while True:
            with writing(self._engine) as connection:
                now = rollouts.find(connection, rollout.id, lock=True)
                if now is None or now.state not in (RolloutState.RUNNING, RolloutState.DONE):
                    return
                some = rollouts.due(connection, now.id, now.stage, AT_ONCE)
                if some:
                    self._order_some(connection, now, some)
            if len(some) < AT_ONCE:
                return

    def _order_some(self, connection: Connection, rollout: RolloutRow, site_ids: Sequence[int]) -> None:
        settings = FleetSettings.of(connection, self._keys, self._layers_of(connection, rollout.revision))
        names = fleet.names_of(connection, site_ids)
        reports, latest = site_reports.find(connection, site_ids), orders.latest_settings(connection, site_ids)
        again = strategy_of(rollout.strategy).again
        new: list[NewSettings] = []
        for site_id in site_ids:
            rendered, problems = settings.rendered(names[site_id])
            if not problems and is_same(rendered, latest.get(site_id), reports[site_id], again=again):
                rollouts.mark(connection, rollout.id, [site_id], "same")
                continue
            try:
                problems = problems or settings.problems(rendered, reports[site_id])
            except HubError as error:
                rollouts.mark(connection, rollout.id, [site_id], "invalid", problems=[error.detail])
                continue
            if problems:
                rollouts.mark(connection, rollout.id, [site_id], "invalid", problems=[str(each) for each in problems])
            else:
                new.append(settings.order(site_id, names[site_id], rendered, rollout.revision, rollout.id))
        Maker(self._keys, self._clock.now_us(), rollout.made_by).settings(connection, new)
        self._mark_ordered(connection, rollout, new)

    def _mark_ordered(self, connection: Connection, rollout: RolloutRow, new: Sequence[NewSettings]) -> None:
        gaps = _gaps(connection) if "gaps" in strategy_of(rollout.strategy).halt else Counter()
        whole = [each.site_id for each in new if not gaps[each.site]]
        rollouts.mark(connection, rollout.id, whole, "ordered")
        for each in new:
            if gaps[each.site]:
                rollouts.mark(connection, rollout.id, [each.site_id], "ordered", gaps=gaps[each.site])

    def _decide(self, rollout: RolloutRow) -> None:
        strategy, now_us = strategy_of(rollout.strategy), self._clock.now_us()
        with reading(self._engine) as connection:
            now = rollouts.find(connection, rollout.id)
            gaps = _gaps(connection) if "gaps" in strategy.halt else Counter()
            members = [member_of(each, gaps[each.site]) for each in rollouts.members(connection, rollout.id)]
        if now is None or now.state != RolloutState.RUNNING:
            return
        step = decide(strategy, now.stage, now.stage_us, members, now_us)
        if step.move is Move.WAIT and step.why == now.why:
            return
        with writing(self._engine) as connection:
            # Nobody has paused it, ended it or sent it on meanwhile.
            if rollouts.find(connection, rollout.id, lock=True) == now:
                self._do(connection, now, step, now_us)

    def _do(self, connection: Connection, rollout: RolloutRow, step: Step, now_us: int) -> None:
        if step.move is Move.WAIT:
            rollouts.change(connection, rollout.id, {"why": step.why})
            return
        values: dict[str, object] = {"why": step.why}
        if step.move is Move.ADVANCE:
            values |= {"stage": rollout.stage + 1, "stage_us": now_us}
        elif step.move is Move.HALT:
            values |= {"state": RolloutState.HALTED.value}
        else:
            values |= {"state": RolloutState.DONE.value, "ended_us": now_us}
        rollouts.change(connection, rollout.id, values)
        deeds.note(connection, DeedRow(now_us, _NOBODY, f"rollout {rollout.id}", _DEEDS[step.move], step.why))
        _log.info("rollout %s: %s: %s", rollout.id, _DEEDS[step.move], step.why)

    def _layers_of(self, connection: Connection, revision: int) -> Layers:
        if revision not in self._layers:
            self._layers.clear()
            self._layers[revision] = read_layers(config.files_of(connection, revision) or {})
        return self._layers[revision]


_DEEDS: Final = {Move.ADVANCE: "went on", Move.HALT: "halted", Move.END: "ended"}
_PARTS: Final = {
    "kept": Part.KEPT,
    "refused": Part.REFUSED,
    "rolled-back": Part.ROLLED_BACK,
    "probing": Part.PROBING,
    "replaced": Part.REPLACED,
}


def member_of(row: MemberRow, gaps: int) -> Member:
    """A site of a rollout as it is decided on; `gaps`: how many of its records are missing now."""
    part = part_of(row)
    return Member(row.stage, part, row.settled_us, row.ordered_us, row.heard_us, gaps > row.gaps)


def part_of(row: MemberRow) -> Part:
    """What has become of a site in a rollout."""
    if row.state != Part.ORDERED:
        return Part(row.state)
    return _PARTS.get(row.outcome or "", Part.ORDERED)


def _gaps(connection: Connection) -> Counter[str]:
    """How many records are missing of each site."""
    missing: Counter[str] = Counter()
    for row in read_troubled(connection, 0):
        missing[row.site] += row.stands.gap
    return missing
