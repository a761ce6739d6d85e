"""What an audit reads of the store, and how it marks a damaged batch: its records are wanted again from their site.

Each function runs in the caller's transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, and_, func, or_, select, update

from farshore_hub.ledger.account import Account
from farshore_hub.store.accounts import AccountKey, open_accounts, save_accounts
from farshore_hub.store.inbox import NOTHING_TAKEN
from farshore_hub.store.lake import CommitState
from farshore_hub.store.ranges import unpack_ranges
from farshore_hub.store.schema import accounts, batches, intervals, lake_commits, sites
from farshore_protocol.batch import digest_of
from farshore_protocol.ranges import RangeSet

DAMAGED: Final = "damaged: its bytes do not match its digest; its records are wanted again"
ROWS_PER_STEP: Final = 8
_COUNTS: Final = or_(batches.c.take.is_(None), batches.c.take != NOTHING_TAKEN)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A stored batch, with whose it is.

    Attributes:
        in_lake: its records are in the lake, so that the sealed bytes are a spare.
    """

    id: int
    account_id: int
    site: str
    incarnation: bytes
    stream: str
    taken: RangeSet
    size: int
    is_sound: bool
    in_lake: bool


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account with the counts that are kept beside it."""

    id: int
    site_id: int
    site: str
    incarnation: bytes
    stream: str
    stored_count: int
    receipted_count: int

    @property
    def key(self) -> AccountKey:
        """What it is found by."""
        return self.site_id, self.incarnation, self.stream


def read_batches(connection: Connection, after: int) -> list[BatchRow]:
    """Some batches whose sealed bytes are kept, in the order of their ids, checked against their digests."""
    columns = (batches.c.id, batches.c.account_id, sites.c.name, accounts.c.incarnation, accounts.c.stream)
    query = (
        select(*columns, batches.c.first, batches.c.count, batches.c.take, batches.c.digest, batches.c.raw)
        .add_columns(lake_commits.c.state, batches.c.quarantined)
        .join_from(batches, accounts, batches.c.account_id == accounts.c.id)
        .join(sites, sites.c.id == accounts.c.site_id)
        .outerjoin(lake_commits, lake_commits.c.id == batches.c.lake_commit)
        .where(batches.c.id > after, batches.c.raw.is_not(None), _COUNTS)
        .order_by(batches.c.id)
        .limit(ROWS_PER_STEP)
    )
    return [_batch(row) for row in connection.execute(query)]


def _batch(row: Any) -> BatchRow:  # noqa: ANN401 - a row of that query
    raw = bytes(row.raw)
    is_sound = digest_of(raw) == bytes(row.digest)
    in_lake = row.state == CommitState.DONE and row.quarantined is None
    owner = (row.id, row.account_id, row.name, bytes(row.incarnation), row.stream)
    return BatchRow(*owner, _taken(row.first, row.count, row.take), len(raw), is_sound, in_lake)


def _taken(first: int, count: int, take: bytes | None) -> RangeSet:
    return RangeSet(((first, first + count - 1),)) if take is None else unpack_ranges(bytes(take))


def taken_by_account(connection: Connection) -> dict[int, list[RangeSet]]:
    """What is stored of each account, batch by batch; of batches whose sealed bytes were given up too."""
    found: dict[int, list[RangeSet]] = defaultdict(list)
    rows = connection.execute(select(batches.c.account_id, batches.c.first, batches.c.count, batches.c.take))
    for account_id, first, count, take in rows:
        found[account_id].append(_taken(first, count, take))
    return found


def read_account_rows(connection: Connection) -> Iterator[AccountRow]:
    """Every account."""
    own = (accounts.c.id, accounts.c.site_id, sites.c.name, accounts.c.incarnation, accounts.c.stream)
    counts = (accounts.c.stored_count, accounts.c.receipted_count)
    query = select(*own, *counts).join_from(accounts, sites, sites.c.id == accounts.c.site_id).order_by(accounts.c.id)
    for at, site_id, site, incarnation, stream, stored, receipted in connection.execute(query):
        yield AccountRow(at, site_id, site, bytes(incarnation), stream, stored, receipted)


def overlapping_intervals(connection: Connection) -> int:
    """How many intervals of accounts overlap or touch the one before, which none may."""
    before = intervals.alias()
    same = and_(before.c.account_id == intervals.c.account_id, before.c.kind == intervals.c.kind)
    touches = and_(before.c.first < intervals.c.first, before.c.last >= intervals.c.first - 1)
    query = select(func.count()).select_from(intervals.join(before, and_(same, touches)))
    return int(connection.scalar(query) or 0)


def lake_records(connection: Connection, stream: str, commit: int) -> int:
    """How many records of a stream its table has if it contains the commits up to that one."""
    query = select(batches.c.first, batches.c.count, batches.c.take).join(
        accounts, accounts.c.id == batches.c.account_id
    )
    in_table = (accounts.c.stream == stream, batches.c.lake_commit <= commit, batches.c.quarantined.is_(None))
    return sum(_taken(*row).count for row in connection.execute(query.where(*in_table)))


def replace_account(connection: Connection, key: AccountKey, after: Account, now_us: int) -> None:
    """Write an account as it should be; the counts beside it, too."""
    [(at, before)] = open_accounts(connection, {key}).values()
    # Counts are written with whatever changes: an account that is right may have counts that are not.
    save_accounts(connection, {at: (replace(before, number=-1), after)}, now_us)


def give_up_spare(connection: Connection, batch: int) -> None:
    """Forget damaged sealed bytes of records that are in the lake."""
    connection.execute(update(batches).where(batches.c.id == batch).values(raw=None))


def want_again(connection: Connection, batch: int, now_us: int) -> bool:
    """Mark a batch as damaged, if it is, and ask its site for the records again; whether it is.

    The bytes stay for whoever wants to look, and count for nothing.
    """
    query = select(accounts.c.site_id, accounts.c.incarnation, accounts.c.stream, batches.c.first, batches.c.count)
    query = query.add_columns(batches.c.take, batches.c.digest, batches.c.raw)
    row: Any = connection.execute(
        query.join_from(batches, accounts, batches.c.account_id == accounts.c.id).where(batches.c.id == batch)
    ).one()
    site_id, incarnation, stream, first, count, take, digest, raw = row
    if raw is None or digest_of(bytes(raw)) == bytes(digest):
        return False
    values = {"take": NOTHING_TAKEN, "quarantined": DAMAGED, "lake_commit": None}
    connection.execute(update(batches).where(batches.c.id == batch).values(values))
    key = site_id, bytes(incarnation), stream
    [(at, account)] = open_accounts(connection, {key}).values()
    wanted = account.wanted | (_taken(first, count, take) & account.stored)
    save_accounts(connection, {at: (account, replace(account, wanted=wanted))}, now_us)
    return True
