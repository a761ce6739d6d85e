"""Keeps the book of alerts: writes what a look decided, and puts into the outbox what is to be told. Blocking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection

from farshore_hub.alerts.decide import Decision, Subject
from farshore_hub.alerts.hysteresis import Phase, Standing
from farshore_hub.alerts.rules import Rule, Rules
from farshore_hub.expect.selector import NO_LABELS, Labels
from farshore_hub.store import alerts, declared
from farshore_hub.store import labels as store_labels
from farshore_hub.store.alerts import AlertRow, EventRow
from farshore_hub.watch.outbox import News, Outbox
from farshore_hub.watch.telling import CLEARED, RAISED, Declared, text_of


@dataclass(frozen=True, slots=True)
class Book:
    """Where alerts are written down, and those who listen are told by way of the outbox."""

    rules: Rules
    outbox: Outbox

    def labels(self, connection: Connection) -> dict[str, dict[str, str]]:
        """The labels of the sites, by name, if anything here goes by them."""
        return store_labels.all_labels(connection) if self.rules.is_by_labels or self.outbox.is_by_labels else {}

    def write(
        self,
        connection: Connection,
        rows: Sequence[AlertRow],
        made: Sequence[Decision],
        labels: Mapping[str, Labels],
        now_us: int,
    ) -> None:
        """Write what was decided about `rows`, which are all that stand, and about what is new."""
        by_subject = {subject_of(row): row for row in rows}
        changed = {each.subject: _after(by_subject.get(each.subject), each, now_us) for each in made}
        added = _added(connection, [row for at, row in changed.items() if at not in by_subject])
        known = [row for at, row in changed.items() if at in by_subject]
        alerts.forget(connection, [row.id for row in known if _never_was(row)])
        stay = [row for row in known if not _never_was(row)]
        untouched = [row for at, row in by_subject.items() if at not in changed]
        told = self._tell(connection, [*untouched, *stay, *added], labels, now_us)
        alerts.change(connection, [*(row for row in stay if row.id not in told), *told.values()])
        written = {row.id: row for row in [*stay, *added]}
        alerts.add_events(connection, [*_events(made, written.values(), now_us)])

    def _tell(
        self, connection: Connection, rows: Sequence[AlertRow], labels: Mapping[str, Labels], now_us: int
    ) -> dict[int, AlertRow]:
        """Put into the outbox what nobody was told yet; the rows that this changes."""
        open_ = [row for row in rows if row.raised_us is not None and row.told_us is None and row.cleared_us is None]
        ended = [row for row in rows if row.told_us is not None and row.cleared_us == now_us]
        if not open_ and not ended:
            return {}
        holds = Declared.at(
            now_us, declared.silences_after(connection, now_us), declared.maintenances_after(connection, now_us)
        )
        loud = [row for row in open_ if not holds.keeps_quiet(row, self._rule(row, labels), now_us)]
        told = {row.id: replace(row, told_us=now_us) for row in loud}
        news = [*(News(row, RAISED) for row in told.values()), *(News(row, CLEARED) for row in ended)]
        self.outbox.put(connection, news, labels, now_us)
        return told

    def _rule(self, row: AlertRow, labels: Mapping[str, Labels]) -> Rule:
        return self.rules.of(row.kind, row.site, row.stream, labels.get(row.site, NO_LABELS))


def _never_was(row: AlertRow) -> bool:
    """Whether it was about to be raised, and is quiet again."""
    return row.phase is Phase.QUIET and row.raised_us is None


def subject_of(row: AlertRow) -> Subject:
    """What an alert is about."""
    return Subject(row.kind, row.site, row.stream, row.facet)


def standing_of(row: AlertRow) -> Standing:
    """Where it stands."""
    return Standing(row.phase, row.since_us, row.mark)


def _after(row: AlertRow | None, made: Decision, now_us: int) -> AlertRow:
    """The row after a decision; a new one has no number yet."""
    row = row or _new(made)
    after = replace(row, phase=made.after.phase, since_us=made.after.since_us, mark=made.after.mark)
    if made.seen is not None and (made.is_raised or row.raised_us is None):
        severity = made.seen.severity or made.rule.severity
        after = replace(after, value=made.seen.value, text=text_of(made.subject, made.seen), severity=severity)
    if made.is_raised:
        after = replace(after, raised_us=now_us)
    if made.is_cleared:
        after = replace(after, mark=row.mark, cleared_us=now_us)
    return after


def _new(made: Decision) -> AlertRow:
    at = made.subject
    return AlertRow(
        id=0,
        kind=at.kind,
        site=at.site,
        stream=at.stream,
        facet=at.facet,
        severity=made.rule.severity,
        phase=made.after.phase,
        since_us=made.after.since_us,
        mark=made.after.mark,
        value=0.0,
        text="",
        raised_us=None,
        told_us=None,
        acknowledged_us=None,
        acknowledged_by=None,
        cleared_us=None,
    )


def _added(connection: Connection, rows: Sequence[AlertRow]) -> list[AlertRow]:
    values = [{name: value for name, value in asdict(row).items() if name != "id"} for row in rows]
    return [replace(row, id=number) for row, number in zip(rows, alerts.add(connection, values), strict=True)]


def _events(made: Sequence[Decision], rows: Iterable[AlertRow], now_us: int) -> list[EventRow]:
    by_subject = {subject_of(row): row for row in rows}
    events: list[EventRow] = []
    for each in made:
        if each.is_raised or each.is_cleared:
            row = by_subject[each.subject]
            events.append(EventRow(row.id, now_us, RAISED if each.is_raised else CLEARED, "", row.text))
    return events
