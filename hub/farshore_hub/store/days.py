"""Counts by the hour, a row for each day: of accounts, and of sites for the overview of the fleet.

A day is packed as MessagePack: `[produced]` when everything of it is stored, else `[produced, stored, shed, gap]`,
each a list of 24 counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import add, sub
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from farshore_hub.ledger.hours import HOURS_PER_DAY, STATES, HourCounts, state_of
from farshore_hub.store.schema import account_days, accounts, site_days, sites
from farshore_protocol.hours import HOUR_US, Hours

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[list[int]])
_CODES: Final = {state: code for code, state in enumerate(STATES)}
NO_STATES: Final = bytes(HOURS_PER_DAY)
"""Of a day of which nothing is known."""
MAX_COUNT: Final = 2**62
_FEW_SITES: Final = 300


Counts = tuple[int, int, int, int]
"""Of an hour: what is known to be produced, stored, shed, nowhere."""


def _zeros() -> list[int]:
    return [0] * HOURS_PER_DAY


@dataclass(slots=True)
class Day:
    """The counts of 24 hours. What a site has not told of, and the hub has, counts as produced too."""

    produced: list[int] = field(default_factory=_zeros)
    stored: list[int] = field(default_factory=_zeros)
    shed: list[int] = field(default_factory=_zeros)
    gap: list[int] = field(default_factory=_zeros)

    @property
    def known(self) -> list[int]:
        """What was produced, hour by hour, as far as either side knows."""
        if self.produced == self.stored:
            accounted = map(add, self.shed, self.gap)
            return list(map(add, self.stored, accounted))
        return list(map(max, self.produced, map(add, map(add, self.stored, self.shed), self.gap)))

    def pack(self) -> bytes:
        """The day for a column."""
        parts = [self.produced, self.stored, self.shed, self.gap]
        if self.produced == self.stored and not any(self.shed) and not any(self.gap):
            parts = [self.produced]
        try:
            return _ENCODER.encode(parts)
        except OverflowError:
            return _ENCODER.encode([[bounded(count) for count in part] for part in parts])

    def states(self) -> bytes:
        """A byte for the state of each hour."""
        here = zip(self.known, self.stored, self.shed, self.gap, strict=True)
        return bytes(_CODES[state_of(*hour)] for hour in here)

    def counts(self, at: int) -> HourCounts:
        """The counts of one hour of the day."""
        return HourCounts(*self.hour(at))

    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (any(self.produced) or any(self.stored) or any(self.shed) or any(self.gap))

    def grow(self, after: Day, before: Day) -> None:
        """Add the difference between two days of an account; here everything known counts as produced."""
        self.produced = _plus_difference(self.produced, after.known, before.known)
        self.stored = _plus_difference(self.stored, after.stored, before.stored)
        self.shed = _plus_difference(self.shed, after.shed, before.shed)
        self.gap = _plus_difference(self.gap, after.gap, before.gap)

    def hour(self, at: int) -> Counts:
        """The counts of one hour; `known` as above."""
        stored, shed, gap = self.stored[at], self.shed[at], self.gap[at]
        return max(self.produced[at], stored + shed + gap), stored, shed, gap

    def add(self, more: Mapping[int, Counts], states: bytes) -> bytes:
        """Add to some hours of a site's day, where everything known counts as produced; its states after that.

        Args:
            more: what is added, which may be negative, by hour of the day.
            states: those before.
        """
        after = bytearray(states)
        for at, (known, stored, shed, gap) in more.items():
            self.produced[at] += known
            self.stored[at] += stored
            self.shed[at] += shed
            self.gap[at] += gap
            after[at] = _CODES[state_of(*self.hour(at))]
        return bytes(after)


def days_of_hours(produced: Hours, stored: Hours, shed: Hours, gap: Hours) -> dict[int, Day]:
    """Counts by the hour as days."""
    days: dict[int, Day] = defaultdict(Day)
    for name, hours in (("produced", produced), ("stored", stored), ("shed", shed), ("gap", gap)):
        for hour, count in hours.items():
            getattr(days[hour // HOURS_PER_DAY], name)[hour % HOURS_PER_DAY] += count
    return {number: day for number, day in days.items() if not day.is_empty()}


def day_rows(account: int, days: Mapping[int, Day]) -> list[dict[str, Any]]:
    """Rows of `account_days`."""
    return [{"account_id": account, "day": number, "counts": day.pack()} for number, day in days.items()]


def _plus_difference(total: list[int], after: list[int], before: list[int]) -> list[int]:
    return list(map(sub, map(add, total, after), before)) if after != before else total


def bounded(count: int) -> int:
    """A count that a column can hold. No site produces so much; one that says so has its sums cut."""
    return max(-MAX_COUNT, min(MAX_COUNT, count))


def unpack_day(raw: bytes) -> Day:
    """A day from a column."""
    parts = _DECODER.decode(raw)
    return Day(parts[0], parts[0].copy()) if len(parts) == 1 else Day(*parts)


@dataclass(frozen=True, slots=True)
class SiteHours:
    """What is stored of a site by the hour.

    Attributes:
        counts: by stream and hour.
        untold_from: by stream, the first hour that may hold records which the site has not told the hours of; None
            where there are none.
    """

    counts: dict[tuple[str, int], HourCounts]
    untold_from: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class FleetSite:
    """A site and the states of its hours; `heard_us` is when it was heard last, None for never."""

    name: str
    heard_us: int | None
    revoked: bool
    states: bytes
    produced: int
    stored: int
    untold_from: int | None


UNTOLD: Final = and_(
    accounts.c.told_count < accounts.c.head, accounts.c.stored_count + accounts.c.receipted_count < accounts.c.head
)
"""Of an account: some of its records are at the edge, and the site has not told their hours."""


def read_site_hours(connection: Connection, site_id: int, hours: range) -> SiteHours:
    """The hours of one site."""
    found: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    joined = accounts.join(account_days, account_days.c.account_id == accounts.c.id)
    asked = (accounts.c.site_id == site_id, account_days.c.day.between(*_days_of(hours)))
    query = select(accounts.c.stream, account_days.c.day, account_days.c.counts).select_from(joined)
    for stream, number, raw in connection.execute(query.where(*asked)):
        day = unpack_day(raw)
        for at, known in enumerate(day.known):
            hour = number * HOURS_PER_DAY + at
            if known and hour in hours:
                total = found[stream, hour]
                of = (known, day.stored[at], day.shed[at], day.gap[at])
                total[:] = [one + other for one, other in zip(total, of, strict=True)]
    counts = {key: HourCounts(*total) for key, total in found.items()}
    return SiteHours(counts, _untold_from(connection, site_id))


def _untold_from(connection: Connection, site_id: int) -> dict[str, int | None]:
    untold = func.min(case((UNTOLD, func.coalesce(accounts.c.oldest_us, 0))))
    query = select(accounts.c.stream, untold).where(accounts.c.site_id == site_id).group_by(accounts.c.stream)
    rows = connection.execute(query)
    return {stream: None if since_us is None else since_us // HOUR_US for stream, since_us in rows}


def read_fleet(connection: Connection, hours: range, search: str, limit: int, offset: int) -> list[FleetSite]:
    """Sites by name, those that are enrolled or were, with the states of their hours."""
    asked: list[ColumnElement[bool]] = _named(search)
    query = select(sites.c.id, sites.c.name, sites.c.last_seen_us, sites.c.state).where(*asked)
    rows = connection.execute(query.order_by(sites.c.name).limit(limit).offset(offset)).all()
    first, last = _days_of(hours)
    days = _site_days(connection, (row.id for row in rows), first, last)
    untold = _untold_sites(connection)
    start = hours.start - first * HOURS_PER_DAY
    nothing = [(NO_STATES, 0, 0)] * (last - first + 1)
    found = []
    for id_, name, heard_us, state in rows:
        of = days.get(id_, nothing)
        states = b"".join([each[0] for each in of])[start : start + len(hours)]
        produced, stored = sum([each[1] for each in of]), sum([each[2] for each in of])
        found.append(FleetSite(name, heard_us, state == "revoked", states, produced, stored, untold.get(id_)))
    return found


def count_sites(connection: Connection, search: str) -> int:
    """How many sites `read_fleet` has in all."""
    return int(connection.scalar(select(func.count()).select_from(sites).where(*_named(search))) or 0)


def score(connection: Connection, first_day: int, last_day: int) -> tuple[int, int]:
    """How many records of these days the fleet produced, and how many of them are stored."""
    sums = (func.coalesce(func.sum(site_days.c.produced), 0), func.coalesce(func.sum(site_days.c.stored), 0))
    produced, stored = connection.execute(select(*sums).where(site_days.c.day.between(first_day, last_day))).one()
    return int(produced), int(stored)


def _site_days(
    connection: Connection, wanted: Iterable[int], first: int, last: int
) -> dict[int, list[tuple[bytes, int, int]]]:
    """By site, a row for each day; of many sites all are read, which costs less than naming them."""
    days = site_days.c
    query = select(days.site_id, days.day, days.states, days.produced, days.stored)
    ids = list(wanted)
    if len(ids) <= _FEW_SITES:
        query = query.where(days.site_id.in_(ids))
    found: dict[int, list[tuple[bytes, int, int]]] = {}
    # All at once: one by one ten thousand rows cost twice as much.
    rows = connection.execute(query.where(days.day.between(first, last))).all()
    for site_id, day, states, produced, stored in rows:
        of = found.get(site_id)
        if of is None:
            of = found[site_id] = [(NO_STATES, 0, 0)] * (last - first + 1)
        of[day - first] = (states, produced, stored)
    return found


def _untold_sites(connection: Connection) -> dict[int, int]:
    oldest_us = func.min(func.coalesce(accounts.c.oldest_us, 0))
    query = select(accounts.c.site_id, oldest_us).where(UNTOLD).group_by(accounts.c.site_id)
    # SQLite by itself takes the index of all accounts, for their order; this one is empty where agents tell hours.
    rows = connection.execute(query.with_hint(accounts, "INDEXED BY ix_accounts_untold", "sqlite"))
    return {site_id: since_us // HOUR_US for site_id, since_us in rows}


def _named(search: str) -> list[ColumnElement[bool]]:
    enrolled = [sites.c.state != "pending"]
    return [*enrolled, sites.c.name.contains(search, autoescape=True)] if search else enrolled


def _days_of(hours: range) -> tuple[int, int]:
    return hours.start // HOURS_PER_DAY, (hours.stop - 1) // HOURS_PER_DAY
