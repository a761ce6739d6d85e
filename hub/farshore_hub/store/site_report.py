"""What is shown of one site beside its completeness. Each function runs in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from farshore_hub.store.accounts import AccountKey
from farshore_hub.store.schema import accounts, batches, damages, forks, receipts
from farshore_protocol.hours import HOUR_US

_MAX_ROWS: Final = 500
"""Forks and repairs that are shown; whoever has more has other things to do than to read them."""


@dataclass(frozen=True, slots=True)
class ReceiptSum:
    """What was given up of a stream for one reason.

    Attributes:
        count: receipts.
        records: about how many records they name; more than one may name the same.
        last_us: the site's clock when the last was given.
    """

    stream: str
    reason: str
    count: int
    records: int
    last_us: int


@dataclass(frozen=True, slots=True)
class ForkRow:
    """A batch that was kept aside, because its range was stored already with other content."""

    stream: str
    incarnation: bytes
    first: int
    last: int
    received_us: int


@dataclass(frozen=True, slots=True)
class RepairRow:
    """Records whose stored copy was found damaged, and what became of them.

    Attributes:
        outcome: healed or lost; None while the hub still asks for them.
    """

    stream: str
    incarnation: bytes
    first: int
    last: int
    cause: str
    found_us: int
    settled_us: int | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Records of a stream that were stored within an hour of the hub's clock."""

    stream: str
    hour_us: int
    records: int


def receipt_sums(connection: Connection, site_id: int) -> list[ReceiptSum]:
    """What a site has given up, by stream and reason."""
    records = func.sum(receipts.c.last - receipts.c.first + 1)
    query = (
        select(accounts.c.stream, receipts.c.reason, func.count(), records, func.max(receipts.c.at_us))
        .join_from(receipts, accounts, receipts.c.account_id == accounts.c.id)
        .where(accounts.c.site_id == site_id)
        .group_by(accounts.c.stream, receipts.c.reason)
        .order_by(accounts.c.stream, receipts.c.reason)
    )
    return [ReceiptSum(stream, why, n, int(total), at) for stream, why, n, total, at in connection.execute(query)]


def site_forks(connection: Connection, site_id: int) -> list[ForkRow]:
    """The forks of a site, the newest first."""
    query = (
        select(accounts.c.stream, accounts.c.incarnation, forks.c.first, forks.c.count, forks.c.received_us)
        .join_from(forks, accounts, forks.c.account_id == accounts.c.id)
        .where(accounts.c.site_id == site_id)
        .order_by(forks.c.id.desc())
        .limit(_MAX_ROWS)
    )
    return [
        ForkRow(stream, bytes(life), first, first + count - 1, at)
        for stream, life, first, count, at in connection.execute(query)
    ]


def arrivals(connection: Connection, site_id: int, since_us: int) -> list[Arrivals]:
    """What came from a site since then, by stream and hour; hours in which nothing came are left out."""
    hour = (batches.c.received_us // HOUR_US).label("hour")
    query = (
        select(accounts.c.stream, hour, func.sum(batches.c.count))
        .join_from(batches, accounts, batches.c.account_id == accounts.c.id)
        .where(accounts.c.site_id == site_id, batches.c.received_us >= since_us)
        .group_by(accounts.c.stream, hour)
        .order_by(accounts.c.stream, hour)
    )
    return [Arrivals(stream, int(at) * HOUR_US, int(count)) for stream, at, count in connection.execute(query)]


def count_lives(connection: Connection, site_id: int) -> int:
    """How many times its agent was started, as far as the hub has heard."""
    query = select(func.count(accounts.c.incarnation.distinct())).where(accounts.c.site_id == site_id)
    return int(connection.execute(query).scalar_one())


def site_repairs(connection: Connection, site_id: int) -> list[RepairRow]:
    """What was found damaged of a site, the newest first."""
    own = (accounts.c.stream, accounts.c.incarnation)
    found = (damages.c.first, damages.c.last, damages.c.cause, damages.c.found_us, damages.c.settled_us)
    query = (
        select(*own, *found, damages.c.outcome)
        .join_from(damages, accounts, damages.c.account_id == accounts.c.id)
        .where(damages.c.site_id == site_id)
        .order_by(damages.c.id.desc())
        .limit(_MAX_ROWS)
    )
    return [
        RepairRow(stream, bytes(life), first, last, cause, found_us, settled_us, outcome)
        for stream, life, first, last, cause, found_us, settled_us, outcome in connection.execute(query)
    ]


def newest_accounts(connection: Connection, site_id: int) -> set[AccountKey]:
    """Of each stream of a site the account that was stated last."""
    query = (
        select(accounts.c.incarnation, accounts.c.stream)
        .where(accounts.c.site_id == site_id)
        .order_by(accounts.c.stated_us.nulls_first(), accounts.c.id)
    )
    newest = {row.stream: bytes(row.incarnation) for row in connection.execute(query)}
    return {(site_id, life, stream) for stream, life in newest.items()}


def stream_names(connection: Connection) -> list[str]:
    """Every stream of every site, by name."""
    return list(connection.scalars(select(accounts.c.stream).distinct().order_by(accounts.c.stream)))
