"""Accounts and their range sets: loaded for a group of parcels at once, saved as what changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, select, tuple_, update

from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.completeness import AccountRow
from farshore_hub.store.dialect import insert_missing, locked, upsert
from farshore_hub.store.ranges import pack_ranges, unpack_ranges
from farshore_hub.store.schema import accounts, intervals, sites
from farshore_protocol.ranges import EMPTY, RangeSet

AccountKey = tuple[int, bytes, str]
"""Site id, incarnation, stream."""

_Row = Row[*tuple[Any, ...]]
_KEYS_PER_QUERY: Final = 300
_STORED, _RECEIPTED, _WANTED = "stored", "receipted", "wanted"
_NOTHING_HELD: Final = pack_ranges(EMPTY)

_FACTS: Final = (
    accounts.c.head,
    accounts.c.held,
    accounts.c.oldest_us,
    accounts.c.closed,
    accounts.c.stated_by,
    accounts.c.statement_number,
)


def open_accounts(connection: Connection, keys: set[AccountKey]) -> dict[AccountKey, tuple[int, Account]]:
    """Make what is missing of these accounts, lock them, and load them: id and account by key."""
    wanted = sorted(keys)
    insert_missing(connection, accounts, [_new(key) for key in wanted])
    found: dict[int, tuple[AccountKey, _Row]] = {}
    for some in _portions(wanted):
        names = tuple_(accounts.c.site_id, accounts.c.incarnation, accounts.c.stream)
        columns = (accounts.c.id, accounts.c.site_id, accounts.c.incarnation, accounts.c.stream, *_FACTS)
        query = locked(connection, select(*columns).where(names.in_(some)).order_by(accounts.c.id))
        for row in connection.execute(query):
            found[row.id] = ((row.site_id, bytes(row.incarnation), row.stream), row)
    sets = _range_sets(connection, list(found))
    return {key: (account_id, _account(row, sets[account_id])) for account_id, (key, row) in found.items()}


def unsettled(connection: Connection, site_id: int) -> set[AccountKey]:
    """A site's accounts with records that are neither stored nor receipted."""
    query = select(accounts.c.site_id, accounts.c.incarnation, accounts.c.stream)
    missing = accounts.c.head - accounts.c.stored_count - accounts.c.receipted_count > 0
    rows = connection.execute(query.where(accounts.c.site_id == site_id, missing))
    return {(row.site_id, bytes(row.incarnation), row.stream) for row in rows}


def save_accounts(connection: Connection, changed: Mapping[int, tuple[Account, Account]], now_us: int) -> None:
    """Write what became of accounts, given by id as before and after."""
    rows = [_row(account_id, after, now_us) for account_id, (before, after) in changed.items() if before != after]
    if not rows:
        return
    connection.execute(update(accounts).where(accounts.c.id == bindparam("account")), rows)
    _save_sets(connection, changed)


def read_accounts(connection: Connection, site: str | None = None, stream: str | None = None) -> Iterator[AccountRow]:
    """Every account, or those of one site or stream, with what completeness needs; two queries in all."""
    query = select(
        accounts.c.id,
        accounts.c.incarnation,
        accounts.c.stream,
        sites.c.name,
        sites.c.last_seen_us,
        sites.c.revoked_us,
        *_FACTS,
    ).join(sites, sites.c.id == accounts.c.site_id)
    if site is not None:
        query = query.where(sites.c.name == site)
    if stream is not None:
        query = query.where(accounts.c.stream.in_([stream, *_companions(stream)]))
    rows = connection.execute(query).all()
    narrow = site is not None or stream is not None
    sets = _range_sets(connection, [row.id for row in rows] if narrow else None)
    for row in rows:
        account = _account(row, sets[row.id])
        revoked = row.revoked_us is not None
        yield AccountRow(row.name, bytes(row.incarnation), row.stream, account, row.last_seen_us, revoked)


def _companions(stream: str) -> list[str]:
    return [f"{stream}.quarantine"]


def _new(key: AccountKey) -> dict[str, Any]:
    site_id, incarnation, stream = key
    return {"site_id": site_id, "incarnation": incarnation, "stream": stream, "held": _NOTHING_HELD}


def _range_sets(connection: Connection, ids: Sequence[int] | None) -> dict[int, dict[str, RangeSet]]:
    """The range sets of some accounts, or of all, by account and kind."""
    query = select(intervals.c.account_id, intervals.c.kind, intervals.c.first, intervals.c.last).order_by(
        intervals.c.account_id, intervals.c.kind, intervals.c.first
    )
    found: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    portions = [None] if ids is None else list(_portions(ids))
    for some in portions:
        asked = query if some is None else query.where(intervals.c.account_id.in_(some))
        for account_id, kind, first, last in connection.execute(asked):
            found[account_id][kind].append((first, last))
    sets: dict[int, dict[str, RangeSet]] = defaultdict(dict)
    for account_id, kinds in found.items():
        sets[account_id] = {kind: RangeSet(tuple(ranges)) for kind, ranges in kinds.items()}
    return sets


def _account(row: _Row, sets: Mapping[str, RangeSet]) -> Account:
    return Account(
        stored=sets.get(_STORED, EMPTY),
        receipted=sets.get(_RECEIPTED, EMPTY),
        wanted=sets.get(_WANTED, EMPTY),
        head=row.head,
        held=unpack_ranges(row.held),
        oldest_us=row.oldest_us,
        closed=row.closed,
        stated_by=bytes(row.stated_by) if row.stated_by is not None else None,
        number=row.statement_number,
    )


def _row(account_id: int, account: Account, now_us: int) -> dict[str, Any]:
    stands = balance(account)
    return {
        "account": account_id,
        "head": stands.produced,
        "held": pack_ranges(account.held),
        "oldest_us": account.oldest_us,
        "closed": account.closed,
        "stated_by": account.stated_by,
        "statement_number": account.number,
        "stated_us": now_us,
        "stored_count": stands.stored,
        "receipted_count": stands.receipted,
    }


def _save_sets(connection: Connection, changed: Mapping[int, tuple[Account, Account]]) -> None:
    gone: list[dict[str, Any]] = []
    put: list[dict[str, Any]] = []
    for account_id, (before, after) in changed.items():
        for kind, old, new in (
            (_STORED, before.stored, after.stored),
            (_RECEIPTED, before.receipted, after.receipted),
            (_WANTED, before.wanted, after.wanted),
        ):
            was, now = dict(old.ranges), dict(new.ranges)
            key = {"account": account_id, "of_kind": kind}
            gone += [{**key, "start": first} for first in was.keys() - now.keys()]
            put += [
                {"account_id": account_id, "kind": kind, "first": first, "last": last}
                for first, last in now.items()
                if was.get(first) != last
            ]
    if gone:
        one = delete(intervals).where(
            intervals.c.account_id == bindparam("account"),
            intervals.c.kind == bindparam("of_kind"),
            intervals.c.first == bindparam("start"),
        )
        connection.execute(one, gone)
    upsert(connection, intervals, put, ["last"])


def _portions(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _KEYS_PER_QUERY):
        yield items[start : start + _KEYS_PER_QUERY]
