"""What promises are held against: streams by the hour over the whole fleet, and what objectives made of each hour.

Each function runs in the caller's transaction. Revoked sites promise nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select

from farshore_hub.expect.objective import Hour, Reliability
from farshore_hub.expect.selector import NO_LABELS, Labels
from farshore_hub.ledger.hours import HOURS_PER_DAY, base_if_quarantine
from farshore_hub.store.days import UNTOLD, Day, bounded, unpack_day
from farshore_hub.store.dialect import upsert
from farshore_hub.store.fleet import SiteState
from farshore_hub.store.labels import all_labels
from farshore_hub.store.schema import account_days, accounts, objective_hours, objective_open, sites, source_shares
from farshore_protocol.hours import HOUR_US

MAX_WORST: Final = 5
_ACTIVE: Final = sites.c.state == SiteState.ACTIVE.value

StreamKey = tuple[str, str]
"""Site and stream; what was refused at a stream's door counts as the stream's."""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What is known of a site.

    Attributes:
        joined_hour: the hour in which it enrolled.
        heard_us: when it was heard last; 0 for never.
        untold_from: the first hour that may hold records which it has not told the hours of.
    """

    id: int
    joined_hour: int
    heard_us: int
    untold_from: int | None
    labels: Labels = field(default_factory=dict)

    def has_told(self, hour: int) -> bool:
        """Whether it has spoken after the end of an hour, and said what it produced in it."""
        return self.heard_us // HOUR_US > hour and (self.untold_from is None or self.untold_from > hour)


@dataclass(frozen=True, slots=True)
class OpenHour:
    """An hour of a site that was due while nobody knew what it had produced in it."""

    site: str
    hour: int
    stored: int


@dataclass(frozen=True, slots=True)
class JudgedHour:
    """What an objective made of an hour, and the sites with most that was late."""

    of: Hour
    worst: Mapping[str, int]


def site_facts(connection: Connection) -> dict[str, SiteFacts]:
    """What is known of every active site, by name."""
    oldest_us = func.min(func.coalesce(accounts.c.oldest_us, 0))
    rows = connection.execute(select(accounts.c.site_id, oldest_us).where(UNTOLD).group_by(accounts.c.site_id))
    untold = {site_id: int(since_us) // HOUR_US for site_id, since_us in rows}
    labels = all_labels(connection)
    query = select(
        sites.c.id, sites.c.name, func.coalesce(sites.c.enrolled_us, 0), func.coalesce(sites.c.last_seen_us, 0)
    )
    return {
        name: SiteFacts(id_, joined_us // HOUR_US, heard_us, untold.get(id_), labels.get(name, NO_LABELS))
        for id_, name, joined_us, heard_us in connection.execute(query.where(_ACTIVE))
    }


def streams_of_all(connection: Connection) -> set[StreamKey]:
    """Every stream that was ever heard of."""
    query = select(sites.c.name, accounts.c.stream).join_from(accounts, sites, accounts.c.site_id == sites.c.id)
    rows = connection.execute(query.where(_ACTIVE).distinct())
    return {(site, base_if_quarantine(stream)) for site, stream in rows}


def read_days(connection: Connection, first_day: int, last_day: int) -> Iterator[tuple[StreamKey, int, Day]]:
    """The days of all streams, one for each account; days are counted from 1970."""
    joined = accounts.join(sites, accounts.c.site_id == sites.c.id).join(
        account_days, account_days.c.account_id == accounts.c.id
    )
    query = select(sites.c.name, accounts.c.stream, account_days.c.day, account_days.c.counts).select_from(joined)
    for site, stream, day, raw in connection.execute(
        query.where(_ACTIVE, account_days.c.day.between(first_day, last_day))
    ):
        yield (site, base_if_quarantine(stream)), day, unpack_day(raw)


def produced_by_hour(connection: Connection, hours: range) -> dict[StreamKey, dict[int, int]]:
    """How many records each stream produced, by hour; hours without any are left out."""
    found: dict[StreamKey, dict[int, int]] = {}
    for key, number, day in read_days(connection, hours.start // HOURS_PER_DAY, (hours.stop - 1) // HOURS_PER_DAY):
        of = found.setdefault(key, {})
        for at, count in enumerate(day.known):
            hour = number * HOURS_PER_DAY + at
            if count and hour in hours:
                of[hour] = of.get(hour, 0) + count
    return found


def produced_and_stored(connection: Connection, hour: int) -> dict[StreamKey, tuple[int, int]]:
    """How many records of an hour each stream produced, and how many of them are stored."""
    found: dict[StreamKey, tuple[int, int]] = {}
    day, at = divmod(hour, HOURS_PER_DAY)
    for key, _, counts in read_days(connection, day, day):
        produced, stored = found.get(key, (0, 0))
        found[key] = produced + counts.known[at], stored + counts.stored[at]
    return found


def last_judged(connection: Connection, objective: str) -> int | None:
    """The last hour that an objective has judged."""
    query = select(func.max(objective_hours.c.hour)).where(objective_hours.c.objective == objective)
    last: int | None = connection.scalar(query)
    return last


def judged_since(connection: Connection, objective: str, after_hour: int) -> list[JudgedHour]:
    """What an objective made of the hours after that one, in order."""
    columns = objective_hours.c
    query = select(columns.hour, columns.due, columns.late, columns.excused, columns.worst)
    asked = query.where(columns.objective == objective, columns.hour > after_hour).order_by(columns.hour)
    return [JudgedHour(Hour(*row[:-1]), json.loads(row.worst)) for row in connection.execute(asked)]


def save_judged(connection: Connection, objective: str, judged: Iterable[JudgedHour]) -> None:
    """Write what an objective made of hours."""
    rows = [
        {
            "objective": objective,
            "hour": each.of.hour,
            # Sites state what they like; a sum of it must not be more than a column can hold.
            "due": bounded(each.of.due),
            "late": bounded(each.of.late),
            "excused": bounded(each.of.excused),
            "worst": json.dumps(worst_of(each.worst)),
        }
        for each in judged
    ]
    upsert(connection, objective_hours, rows, ["due", "late", "excused", "worst"])


def worst_of(late: Mapping[str, int]) -> dict[str, int]:
    """The sites with most that was late, the worst first."""
    return dict(
        sorted(((site, count) for site, count in late.items() if count), key=lambda of: (-of[1], of[0]))[:MAX_WORST]
    )


def open_hours(connection: Connection, objective: str) -> list[OpenHour]:
    """The hours that an objective could not judge yet."""
    columns = objective_open.c
    query = select(columns.site, columns.hour, columns.stored).where(columns.objective == objective)
    return [OpenHour(*row) for row in connection.execute(query.order_by(columns.site, columns.hour))]


def add_open(connection: Connection, objective: str, opened: Sequence[OpenHour]) -> None:
    """Note hours that cannot be judged yet."""
    rows = [
        {"objective": objective, "site": each.site, "hour": each.hour, "stored": bounded(each.stored)}
        for each in opened
    ]
    upsert(connection, objective_open, rows, ["stored"])


def remove_open(connection: Connection, objective: str, closed: Iterable[OpenHour]) -> None:
    """Forget hours that are judged now."""
    columns = objective_open.c
    for each in closed:
        own = (columns.objective == objective, columns.site == each.site, columns.hour == each.hour)
        connection.execute(delete(objective_open).where(*own))


def forget_judged(connection: Connection, objective: str, before_hour: int) -> None:
    """Forget what is older than anybody asks for."""
    for table in (objective_hours, objective_open):
        connection.execute(delete(table).where(table.c.objective == objective, table.c.hour < before_hour))


def reliabilities(connection: Connection, objective: str) -> dict[StreamKey, Reliability]:
    """How reliable each source was measured to be."""
    columns = source_shares.c
    query = select(columns.site, columns.stream, columns.expected, columns.produced).where(
        columns.objective == objective
    )
    return {(site, stream): Reliability(*sums) for site, stream, *sums in connection.execute(query)}


def save_reliabilities(connection: Connection, objective: str, found: Mapping[StreamKey, Reliability]) -> None:
    """Write how reliable sources were measured to be."""
    rows: list[dict[str, Any]] = [
        {"objective": objective, "site": site, "stream": stream, "expected": of.expected, "produced": of.produced}
        for (site, stream), of in found.items()
    ]
    upsert(connection, source_shares, rows, ["expected", "produced"])
