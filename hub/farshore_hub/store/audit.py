"""What an audit reads of the store, and how it marks a damaged batch: its records are wanted again from their site.

Each function runs in the caller's transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from farshore_hub.ledger.account import Account
from farshore_hub.ledger.damage import Cause
from farshore_hub.store.accounts import AccountKey, open_accounts
from farshore_hub.store.damages import add_damages
from farshore_hub.store.inbox import NOTHING_TAKEN, lock_sites
from farshore_hub.store.lake import CommitState
from farshore_hub.store.post_days import HourChange, save_with_hours
from farshore_hub.store.ranges import unpack_hours, unpack_ranges
from farshore_hub.store.schema import accounts, batches, intervals, lake_commits, row_digests, sites
from farshore_protocol.batch import digest_of
from farshore_protocol.ranges import RangeSet

DAMAGED: Final = "damaged: its bytes do not match its digest; its records are wanted again"
LOST_IN_LAKE: Final = "damaged: its rows in the lake are not what was written; its records are wanted again"
ROWS_PER_STEP: Final = 8
NAMES_PER_QUERY: Final = 300
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


@dataclass(frozen=True, slots=True)
class Scope:
    """What an audit looks at: everything, or only what is of a site, of a stream, or was received since a moment."""

    site: str | None = None
    stream: str | None = None
    since_us: int | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """For queries that join sites, accounts and batches."""
        found: list[ColumnElement[bool]] = []
        if self.site is not None:
            found.append(sites.c.name == self.site)
        if self.stream is not None:
            found.append(accounts.c.stream == self.stream)
        if self.since_us is not None:
            found.append(batches.c.received_us >= self.since_us)
        return found


EVERYTHING: Final = Scope()


@dataclass(frozen=True, slots=True)
class LakeEntry:
    """What the lake should have of a batch.

    Attributes:
        incarnation: in hex, as the lake has it.
        digest: of its rows; None if they were written by a version that kept none.
    """

    id: int
    site: str
    incarnation: str
    taken: RangeSet
    digest: bytes | None


def read_batches(connection: Connection, after: int, scope: Scope = EVERYTHING) -> list[BatchRow]:
    """Some batches whose sealed bytes are kept, in the order of their ids, checked against their digests."""
    columns = (batches.c.id, batches.c.account_id, sites.c.name, accounts.c.incarnation, accounts.c.stream)
    query = (
        select(*columns, batches.c.first, batches.c.count, batches.c.take, batches.c.digest, batches.c.raw)
        .add_columns(lake_commits.c.state, batches.c.quarantined)
        .join_from(batches, accounts, batches.c.account_id == accounts.c.id)
        .join(sites, sites.c.id == accounts.c.site_id)
        .outerjoin(lake_commits, lake_commits.c.id == batches.c.lake_commit)
        .where(batches.c.id > after, batches.c.raw.is_not(None), _COUNTS, *scope.conditions)
        .order_by(batches.c.id)
        .limit(ROWS_PER_STEP)
    )
    return [_batch(row) for row in connection.execute(query)]


def _batch(row: Any) -> BatchRow:  # noqa: ANN401 - a row of that query
    raw = bytes(row.raw)
    is_sound = digest_of(raw) == bytes(row.digest)
    in_lake = row.state == CommitState.DONE and row.quarantined is None
    owner = (row.id, row.account_id, row.name, bytes(row.incarnation), row.stream)
    return BatchRow(*owner, taken_of(row.first, row.count, row.take), len(raw), is_sound, in_lake)


def taken_of(first: int, count: int, take: bytes | None) -> RangeSet:
    """What was stored of a batch, by its columns."""
    return RangeSet(((first, first + count - 1),)) if take is None else unpack_ranges(bytes(take))


def site_ids(connection: Connection, site: str | None = None) -> list[int]:
    """All sites, or the one of that name, in the order of their ids."""
    query = select(sites.c.id).order_by(sites.c.id)
    return list(connection.scalars(query if site is None else query.where(sites.c.name == site)))


def taken_by_account(connection: Connection, site: int) -> dict[int, list[RangeSet]]:
    """What is stored of each account of a site, batch by batch; of batches whose sealed bytes were given up too."""
    found: dict[int, list[RangeSet]] = defaultdict(list)
    query = select(batches.c.account_id, batches.c.first, batches.c.count, batches.c.take)
    query = query.join(accounts, accounts.c.id == batches.c.account_id).where(accounts.c.site_id == site)
    for account_id, first, count, take in connection.execute(query):
        found[account_id].append(taken_of(first, count, take))
    return found


def read_account_rows(connection: Connection, site: int) -> Iterator[AccountRow]:
    """Every account of a site."""
    own = (accounts.c.id, accounts.c.site_id, sites.c.name, accounts.c.incarnation, accounts.c.stream)
    counts = (accounts.c.stored_count, accounts.c.receipted_count)
    query = select(*own, *counts).join_from(accounts, sites, sites.c.id == accounts.c.site_id)
    query = query.where(accounts.c.site_id == site).order_by(accounts.c.id)
    for at, site_id, name, incarnation, stream, stored, receipted in connection.execute(query):
        yield AccountRow(at, site_id, name, bytes(incarnation), stream, stored, receipted)


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
    return sum(taken_of(*row).count for row in connection.execute(query.where(*in_table)))


def sites_in_lake(connection: Connection, stream: str, commit: int, scope: Scope) -> list[tuple[str, int]]:
    """The sites of which a stream's table has something, by name, and how many batches that is."""
    query = select(sites.c.name, func.count()).where(*_in_table(stream, commit), *scope.conditions)
    query = _of_sites(query).group_by(sites.c.name).order_by(sites.c.name)
    # Compared by Python below, so ordered by Python: databases order names by their own rules.
    return sorted((name, count) for name, count in connection.execute(query))


_OF_ENTRY: Final = (
    batches.c.id,
    sites.c.name,
    accounts.c.incarnation,
    batches.c.first,
    batches.c.count,
    batches.c.take,
    row_digests.c.digest,
)


def lake_entries(
    connection: Connection, stream: str, commit: int, names: Sequence[str], scope: Scope = EVERYTHING
) -> list[LakeEntry]:
    """What a stream's table should have of these sites if it contains the commits up to that one."""
    query = _with_digests(select(*_OF_ENTRY)).order_by(batches.c.id)
    found: list[LakeEntry] = []
    for start in range(0, len(names), NAMES_PER_QUERY):
        some = sites.c.name.in_(names[start : start + NAMES_PER_QUERY])
        rows = connection.execute(query.where(*_in_table(stream, commit), *scope.conditions, some))
        found += [_entry(row) for row in rows]
    return found


def lake_entries_of(connection: Connection, stream: str, commit: int, ids: Sequence[int]) -> list[LakeEntry]:
    """Those of these batches that a stream's table should still have."""
    query = _with_digests(select(*_OF_ENTRY)).order_by(batches.c.id)
    rows = connection.execute(query.where(*_in_table(stream, commit), batches.c.id.in_(ids)))
    return [_entry(row) for row in rows]


def _entry(row: Any) -> LakeEntry:  # noqa: ANN401 - a row of one of the queries above
    incarnation, taken = bytes(row.incarnation).hex(), taken_of(row.first, row.count, row.take)
    digest = None if row.digest is None else bytes(row.digest)
    return LakeEntry(row.id, row.name, incarnation, taken, digest)


def _with_digests(query: Any) -> Any:  # noqa: ANN401 - a SELECT of any columns
    return _of_sites(query).outerjoin(row_digests, row_digests.c.batch_id == batches.c.id)


def _of_sites(query: Any) -> Any:  # noqa: ANN401 - a SELECT of any columns
    owned = query.select_from(batches).join(accounts, accounts.c.id == batches.c.account_id)
    return owned.join(sites, sites.c.id == accounts.c.site_id)


def _in_table(stream: str, commit: int) -> tuple[ColumnElement[bool], ...]:
    return (accounts.c.stream == stream, batches.c.lake_commit <= commit, batches.c.quarantined.is_(None), _COUNTS)


def replace_account(connection: Connection, key: AccountKey, after: Account, now_us: int) -> None:
    """Write an account as it should be; the counts beside it, too. Its site is locked already."""
    [(at, before)] = open_accounts(connection, {key}).values()
    # Counts are written with whatever changes: an account that is right may have counts that are not.
    changed = {at: (replace(before, number=-1), after)}
    save_with_hours(connection, changed, {at: HourChange(key[0], recount=True)}, now_us)
    add_damages(connection, (key[0], at), after.wanted - before.wanted, Cause.LEDGER, 0, now_us)


def give_up_spare(connection: Connection, batch: int) -> None:
    """Forget damaged sealed bytes of records that are in the lake."""
    connection.execute(update(batches).where(batches.c.id == batch).values(raw=None))


def want_again(connection: Connection, batch: int, now_us: int) -> bool:
    """Mark a batch as damaged, if it is, and ask its site for the records again; whether it is.

    The bytes stay for whoever wants to look, and count for nothing.
    """
    row = _owned(connection, batch)
    if row.raw is None or digest_of(bytes(row.raw)) == bytes(row.digest):
        return False
    _want(connection, row, DAMAGED, Cause.BATCH, now_us)
    return True


def want_rows_again(connection: Connection, batch: int, now_us: int) -> None:
    """Ask the site for the records of a batch again, because the lake has lost its rows and nothing else has them."""
    _want(connection, _owned(connection, batch), LOST_IN_LAKE, Cause.LAKE, now_us)


def _owned(connection: Connection, batch: int) -> Any:  # noqa: ANN401 - a row of that query
    query = select(accounts.c.site_id, accounts.c.incarnation, accounts.c.stream, batches)
    query = query.join_from(batches, accounts, batches.c.account_id == accounts.c.id).where(batches.c.id == batch)
    lock_sites(connection, [connection.execute(query).one().site_id])
    # Read again: it may have changed before the lock was given.
    return connection.execute(query).one()


def _want(connection: Connection, row: Any, why: str, cause: Cause, now_us: int) -> None:  # noqa: ANN401
    values = {"take": NOTHING_TAKEN, "quarantined": why, "lake_commit": None, "damaged_us": now_us}
    connection.execute(update(batches).where(batches.c.id == row.id).values(values))
    key = row.site_id, bytes(row.incarnation), row.stream
    [(at, account)] = open_accounts(connection, {key}).values()
    missing = taken_of(row.first, row.count, row.take) & account.stored
    wanted = account.wanted | missing
    change = HourChange(row.site_id, recount=True)
    change.store(unpack_hours(row.hours), -1)
    save_with_hours(connection, {at: (account, replace(account, wanted=wanted))}, {at: change}, now_us)
    size = 0 if row.raw is None else len(row.raw)
    add_damages(connection, (row.site_id, at), missing, cause, size, now_us)
