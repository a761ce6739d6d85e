"""SQL of alerts: what stands, what became of it, and who was told. Each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from farshore_hub.alerts.hysteresis import Phase
from farshore_hub.alerts.kinds import Kind, Severity
from farshore_hub.store.schema import alert_events, alerts


@dataclass(frozen=True, slots=True)
class AlertRow:
    """A row of `alerts`. Times are microseconds since 1970, None for never."""

    id: int
    kind: Kind
    site: str
    stream: str
    facet: str
    severity: Severity
    phase: Phase
    since_us: int
    mark: str
    value: float
    text: str
    raised_us: int | None
    told_us: int | None
    acknowledged_us: int | None
    acknowledged_by: str | None
    cleared_us: int | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of `alert_events`."""

    alert_id: int
    at_us: int
    change: str
    said_by: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Which alerts; None is all of them. Those that are only rising are nobody's business yet."""

    kind: Kind | None = None
    site: str | None = None
    open_only: bool = True
    before_id: int | None = None
    limit: int = 1000


_ROWS: Final = select(*alerts.c)
_CHANGING: Final = (
    "severity",
    "phase",
    "since_us",
    "mark",
    "value",
    "text",
    "raised_us",
    "told_us",
    "cleared_us",
)
"""What a look may change; an acknowledgement is a person's."""


def standing(connection: Connection) -> list[AlertRow]:
    """Every alert that is not over, those that are only rising too."""
    return _read(connection, _ROWS.where(alerts.c.cleared_us.is_(None)).order_by(alerts.c.id))


def listed(connection: Connection, asked: Asked) -> list[AlertRow]:
    """The alerts that were asked for, the newest first."""
    query = _ROWS.where(alerts.c.raised_us.is_not(None)).order_by(alerts.c.id.desc()).limit(asked.limit)
    if asked.open_only:
        query = query.where(alerts.c.cleared_us.is_(None))
    if asked.kind is not None:
        query = query.where(alerts.c.kind == asked.kind.value)
    if asked.site is not None:
        query = query.where(alerts.c.site == asked.site)
    if asked.before_id is not None:
        query = query.where(alerts.c.id < asked.before_id)
    return _read(connection, query)


def find(connection: Connection, alert_id: int) -> AlertRow | None:
    """The alert with that number, once it was raised."""
    found = _read(connection, _ROWS.where(alerts.c.id == alert_id, alerts.c.raised_us.is_not(None)))
    return found[0] if found else None


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert new alerts; their numbers, in the same order."""
    if not rows:
        return []
    statement = insert(alerts).returning(alerts.c.id, sort_by_parameter_order=True)
    return [int(number) for number in connection.scalars(statement, list(rows))]


def change(connection: Connection, rows: Sequence[AlertRow]) -> None:
    """Write what a look made of alerts."""
    if not rows:
        return
    statement = update(alerts).where(alerts.c.id == bindparam("of_alert"))
    values = [{name: value for name, value in asdict(row).items() if name in _CHANGING} for row in rows]
    connection.execute(statement, [{"of_alert": row.id, **each} for row, each in zip(rows, values, strict=True)])


def forget(connection: Connection, ids: Sequence[int]) -> None:
    """Forget what was about to be raised and was not."""
    if ids:
        connection.execute(delete(alerts).where(alerts.c.id == bindparam("of_alert")), [{"of_alert": at} for at in ids])


def acknowledge(connection: Connection, alert_id: int, by: str, now_us: int) -> bool:
    """Note who takes care of an alert that stands; False if somebody does already."""
    stands = (alerts.c.id == alert_id, alerts.c.cleared_us.is_(None), alerts.c.acknowledged_us.is_(None))
    return (
        connection.execute(update(alerts).where(*stands).values(acknowledged_us=now_us, acknowledged_by=by)).rowcount
        > 0
    )


def add_events(connection: Connection, events: Sequence[EventRow]) -> None:
    """Write what became of alerts."""
    if events:
        connection.execute(insert(alert_events), [asdict(each) for each in events])


def events_of(connection: Connection, alert_id: int) -> list[EventRow]:
    """What became of an alert, in order."""
    own = [alert_events.c[name] for name in EventRow.__dataclass_fields__]
    query = select(*own).where(alert_events.c.alert_id == alert_id).order_by(alert_events.c.id)
    return [EventRow(*row) for row in connection.execute(query)]


def forget_cleared(connection: Connection, before_us: int) -> None:
    """Forget alerts that were over before that time."""
    old = select(alerts.c.id).where(alerts.c.cleared_us < before_us)
    connection.execute(delete(alert_events).where(alert_events.c.alert_id.in_(old)))
    connection.execute(delete(alerts).where(alerts.c.cleared_us < before_us))


def count_standing(connection: Connection) -> dict[tuple[str, bool], int]:
    """How many alerts stand, by kind and whether somebody takes care of them."""
    is_taken = alerts.c.acknowledged_us.is_not(None)
    query = select(alerts.c.kind, is_taken, func.count()).group_by(alerts.c.kind, is_taken)
    stands = (alerts.c.cleared_us.is_(None), alerts.c.raised_us.is_not(None))
    return {(kind, bool(taken)): count for kind, taken, count in connection.execute(query.where(*stands))}


def _read(connection: Connection, query: Select[Any]) -> list[AlertRow]:
    return [_row(row._asdict()) for row in connection.execute(query)]


def _row(values: dict[str, Any]) -> AlertRow:
    typed = {
        "kind": Kind(values["kind"]),
        "severity": Severity(values["severity"]),
        "phase": Phase(values["phase"]),
    }
    return AlertRow(**values | typed)
