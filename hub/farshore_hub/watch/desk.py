"""What people do with alerts: look, acknowledge, silence, declare maintenance. Blocking; for API and commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from farshore_hub.alerts.kinds import Kind
from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.expect.patterns import check_pattern
from farshore_hub.store import alerts, declared, labels, messages
from farshore_hub.store.alerts import AlertRow, Asked, EventRow
from farshore_hub.store.declared import Maintenance, Silence
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.messages import Waiting
from farshore_hub.watch.outbox import News, Outbox
from farshore_hub.watch.telling import ACKNOWLEDGED
from farshore_hub.watch.views import AlertStoryView, AlertView, MaintenanceView, SilenceView, alert_view, story_view
from farshore_protocol.ports import Clock

MAX_TEXT_CHARS: Final = 1000
MAX_NAME_CHARS: Final = 63
MAX_ID: Final = 2**63 - 1
_US_PER_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Desk:
    """Where people look after alerts."""

    engine: Engine
    clock: Clock
    outbox: Outbox

    @property
    def runbooks(self) -> str:
        """What the address of every runbook begins with."""
        return self.outbox.runbooks

    def listed(self, asked: Asked) -> list[AlertView]:
        """The alerts that were asked for, the newest first."""
        with reading(self.engine) as connection:
            return [alert_view(row, self.runbooks) for row in alerts.listed(connection, asked)]

    def story(self, number: int) -> AlertStoryView:
        """One alert with its history.

        Raises:
            Unknown: there is none of that number.
        """
        with reading(self.engine) as connection:
            row = alerts.find(connection, number)
            events = alerts.events_of(connection, number) if row else []
        return story_view(_found(row, number), events, self.runbooks)

    def acknowledge(self, number: int, by: str, note: str = "") -> AlertView:
        """Note who takes care of an alert, and tell everybody who was told of it.

        Raises:
            Unknown: there is none of that number.
            Conflict: it is over, or somebody takes care of it already.
            Invalid: the note is too long.
        """
        _check_text(note)
        by, now_us = by[:MAX_NAME_CHARS], self.clock.now_us()
        with writing(self.engine) as connection:
            row = _found(alerts.find(connection, number), number)
            if not alerts.acknowledge(connection, number, by, now_us):
                over = row.cleared_us is not None
                raise Conflict(f"alert {number} is over" if over else f"{row.acknowledged_by} takes care of it already")
            alerts.add_events(connection, [EventRow(number, now_us, ACKNOWLEDGED, by, note)])
            row = _found(alerts.find(connection, number), number)
            if row.told_us is not None:
                of_sites = labels.all_labels(connection) if self.outbox.is_by_labels else {}
                self.outbox.put(connection, [News(row, ACKNOWLEDGED, note)], of_sites, now_us)
            return alert_view(row, self.runbooks)

    def silences(self) -> list[SilenceView]:
        """All silences that are not over."""
        with reading(self.engine) as connection:
            found = declared.silences_after(connection, self.clock.now_us())
        return [SilenceView.model_validate(each) for each in found]

    def silence(self, kind: Kind | None, sites: str, streams: str, for_s: int, reason: str, by: str) -> SilenceView:
        """Let alerts stand without telling anybody, from now on for so long.

        Raises:
            Invalid: a pattern or the reason.
        """
        now_us = self.clock.now_us()
        until_us = now_us + for_s * _US_PER_S
        _check_patterns(sites, streams)
        _check_text(reason)
        new = Silence(0, kind.value if kind else "", sites, streams, now_us, until_us, reason, by[:MAX_NAME_CHARS])
        with writing(self.engine) as connection:
            return SilenceView.model_validate(declared.add_silence(connection, new))

    def end_silence(self, number: int) -> None:
        """End a silence now: what still stands is told.

        Raises:
            Unknown: there is none of that number that is not over.
        """
        with writing(self.engine) as connection:
            if not declared.end_silence(connection, number, self.clock.now_us()):
                raise Unknown(f"there is no silence {number}", remedy="farshore-hub alerts silences lists them")

    def maintenances(self, *, all_of_them: bool = False) -> list[MaintenanceView]:
        """Declared maintenance that is not over, or all of it."""
        after_us = -1 if all_of_them else self.clock.now_us()
        with reading(self.engine) as connection:
            found = declared.maintenances_after(connection, after_us)
        return [MaintenanceView.model_validate(each) for each in found]

    def maintain(self, sites: str, from_us: int | None, until_us: int, reason: str, by: str) -> MaintenanceView:
        """Declare maintenance, from now on or from another time; the past may be declared too.

        Raises:
            Invalid: the pattern, the times or the reason.
        """
        from_us = self.clock.now_us() if from_us is None else from_us
        if not 0 <= from_us <= until_us <= MAX_ID:
            raise Invalid("maintenance ends after it begins")
        _check_patterns(sites)
        _check_text(reason)
        new = Maintenance(0, sites, from_us, until_us, reason, by[:MAX_NAME_CHARS])
        with writing(self.engine) as connection:
            return MaintenanceView.model_validate(declared.add_maintenance(connection, new))

    def end_maintenance(self, number: int) -> None:
        """End maintenance now.

        Raises:
            Unknown: there is none of that number that is not over.
        """
        with writing(self.engine) as connection:
            if not declared.end_maintenance(connection, number, self.clock.now_us()):
                raise Unknown(
                    f"there is no maintenance {number}", remedy="farshore-hub maintenance list shows all of it"
                )

    def waiting(self) -> list[Waiting]:
        """How the channels stand that have messages waiting."""
        with reading(self.engine) as connection:
            return messages.waiting(connection)


def _found(row: AlertRow | None, number: int) -> AlertRow:
    if row is None:
        raise Unknown(f"there is no alert {number}", remedy="farshore-hub alerts list shows them")
    return row


def _check_patterns(*patterns: str) -> None:
    try:
        for pattern in patterns:
            check_pattern(pattern)
    except ValueError as error:
        raise Invalid(str(error)) from None


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT_CHARS or "\0" in text:
        raise Invalid(f"a text has at most {MAX_TEXT_CHARS} characters, none of them NUL")
