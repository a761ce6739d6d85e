"""SQL of what people declare: silences of alerts, and maintenance of sites. An end before its time moves `until_us`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, Table, insert, select, update

from farshore_hub.store.schema import alert_silences, maintenances


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that are not told. `kind` is empty for every kind; times are microseconds since 1970."""

    id: int
    kind: str
    sites: str
    streams: str
    from_us: int
    until_us: int
    reason: str
    made_by: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Sites that are worked on. Times are microseconds since 1970."""

    id: int
    sites: str
    from_us: int
    until_us: int
    reason: str
    made_by: str


def add_silence(connection: Connection, new: Silence) -> Silence:
    """Declare a silence; its number is given here."""
    return replace(new, id=_add(connection, alert_silences, new))


def add_maintenance(connection: Connection, new: Maintenance) -> Maintenance:
    """Declare maintenance; its number is given here."""
    return replace(new, id=_add(connection, maintenances, new))


def silences_after(connection: Connection, after_us: int) -> list[Silence]:
    """Every silence that ends after that time, by its number."""
    query = select(*alert_silences.c).where(alert_silences.c.until_us > after_us).order_by(alert_silences.c.id)
    return [Silence(*row) for row in connection.execute(query)]


def maintenances_after(connection: Connection, after_us: int) -> list[Maintenance]:
    """All maintenance that ends after that time, by its number."""
    query = select(*maintenances.c).where(maintenances.c.until_us > after_us).order_by(maintenances.c.id)
    return [Maintenance(*row) for row in connection.execute(query)]


def end_silence(connection: Connection, number: int, now_us: int) -> bool:
    """End a silence now; False if there is none of that number that is not over."""
    return _end(connection, alert_silences, number, now_us)


def end_maintenance(connection: Connection, number: int, now_us: int) -> bool:
    """End maintenance now; False if there is none of that number that is not over."""
    return _end(connection, maintenances, number, now_us)


def _add(connection: Connection, table: Table, row: Silence | Maintenance) -> int:
    values = {name: value for name, value in asdict(row).items() if name != "id"}
    return int(connection.execute(insert(table).values(values).returning(table.c.id)).scalar_one())


def _end(connection: Connection, table: Table, number: int, now_us: int) -> bool:
    statement = update(table).where(table.c.id == number, table.c.until_us > now_us).values(until_us=now_us)
    return connection.execute(statement).rowcount == 1
