"""Accounts and their range sets: loaded for a group of parcels at once, saved as what changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    not_,
    select,
    tuple_,
    update,
)

from farshore_hub.ledger.account import Account, Balance, balance
from farshore_hub.ledger.completeness import AccountRow
from farshore_hub.ledger.standing import SettledSum
from farshore_hub.store.dialect import insert_missing, upsert
from farshore_hub.store.ranges import pack_ranges, unpack_ranges
from farshore_hub.store.schema import accounts, intervals, sites
from farshore_protocol.names import QUARANTINE
from farshore_protocol.ranges import EMPTY, RangeSet

AccountKey = tuple[int, bytes, str]
"""Site id, incarnation, stream."""

_Row = Row[*tuple[Any, ...]]
_KEYS_PER_QUERY: Final = 300
_MAX_SUMMED: Final = 2**40
"""Millions of heads below this one add up to 64 bits; a site that states larger ones is added up in Python."""

_STORED, _RECEIPTED, _WANTED = "stored", "receipted", "wanted"
_NOTHING_HELD: Final = pack_ranges(EMPTY)

_FACTS: Final = (
    accounts.c.head,
    accounts.c.held,
    accounts.c.oldest_us,
    accounts.c.closed,
    accounts.c.stated_by,
    accounts.c.statement_number,
    accounts.c.told_count,
    accounts.c.placed,
    accounts.c.archived,
)

_OF_SITE: Final = (sites.c.name, sites.c.last_seen_us, sites.c.revoked_us)
_INTERVALS: Final = select(intervals.c.account_id, intervals.c.kind, intervals.c.first, intervals.c.last).order_by(
    intervals.c.account_id, intervals.c.kind, intervals.c.first
)
_SETTLED: Final = and_(
    accounts.c.head == accounts.c.stored_count + accounts.c.receipted_count,
    accounts.c.head < _MAX_SUMMED,
)
_KEY: Final = tuple_(accounts.c.site_id, accounts.c.incarnation, accounts.c.stream)
_OF_KEYS: Final = select(accounts.c.id, accounts.c.site_id, accounts.c.incarnation, accounts.c.stream, *_FACTS).where(
    _KEY.in_(bindparam("keys", expanding=True))
)
_SETS_OF: Final = _INTERVALS.where(intervals.c.account_id.in_(bindparam("ids", expanding=True)))
_UNSETTLED_OF: Final = select(accounts.c.site_id, accounts.c.incarnation, accounts.c.stream).where(
    ~_SETTLED, accounts.c.site_id.in_(bindparam("sites", expanding=True))
)
_SAVE: Final = update(accounts).where(accounts.c.id == bindparam("account"))
_DELETE_INTERVAL: Final = delete(intervals).where(
    intervals.c.account_id == bindparam("account"),
    intervals.c.kind == bindparam("of_kind"),
    intervals.c.first == bindparam("start"),
)


def open_accounts(connection: Connection, keys: set[AccountKey]) -> dict[AccountKey, tuple[int, Account]]:
    """Load these accounts, and make those that are missing: id and account by key. Their sites are locked already."""
    found = _rows(connection, keys)
    missing = keys - found.keys()
    if missing:
        insert_missing(connection, accounts, [_new(key) for key in sorted(missing)])
        found |= _rows(connection, missing)
    return _loaded(connection, found)


def open_existing(connection: Connection, keys: set[AccountKey]) -> dict[AccountKey, tuple[int, Account]]:
    """Load those of these accounts that there are: id and account by key."""
    return _loaded(connection, _rows(connection, keys))


def _loaded(connection: Connection, found: Mapping[AccountKey, _Row]) -> dict[AccountKey, tuple[int, Account]]:
    ids = _portions([row.id for row in found.values()])
    portions = (connection.execute(_SETS_OF, {"ids": some}) for some in ids)
    sets = _range_sets(chain.from_iterable(portions))
    return {key: (row.id, _account(row, sets[row.id])) for key, row in found.items()}


def _rows(connection: Connection, keys: set[AccountKey]) -> dict[AccountKey, _Row]:
    portions = (connection.execute(_OF_KEYS, {"keys": some}) for some in _portions(sorted(keys)))
    return {(row.site_id, bytes(row.incarnation), row.stream): row for row in chain.from_iterable(portions)}


def unsettled(connection: Connection, site_ids: Iterable[int]) -> dict[int, set[AccountKey]]:
    """By site: its accounts with records that are neither stored nor receipted. Every site asked for is there."""
    found: dict[int, set[AccountKey]] = {site_id: set() for site_id in site_ids}
    for row in connection.execute(_UNSETTLED_OF, {"sites": sorted(found)}) if found else ():
        found[row.site_id].add((row.site_id, bytes(row.incarnation), row.stream))
    return found


def save_accounts(connection: Connection, changed: Mapping[int, tuple[Account, Account]], now_us: int) -> None:
    """Write what became of accounts, given by id as before and after."""
    rows = [_row(account_id, after, now_us) for account_id, (before, after) in changed.items() if before != after]
    if not rows:
        return
    connection.execute(_SAVE, rows)
    _save_sets(connection, changed)


def read_accounts(connection: Connection, site: str | None = None, stream: str | None = None) -> Iterator[AccountRow]:
    """Where all accounts stand, or those of one site or stream; three queries in all.

    Of most, every record is stored or receipted: those the database adds up, a row for each stream of a site.
    """
    asked = [sites.c.name == site] if site is not None else []
    if stream is not None:
        asked.append(accounts.c.stream.in_([stream, *_companions(stream)]))
    yield from _read_settled(connection, asked)
    yield from _read_unsettled(connection, asked)


def read_unsettled(connection: Connection) -> Iterator[AccountRow]:
    """Where all accounts stand in which something is pending or missing."""
    yield from _read_unsettled(connection, [])


def read_troubled(connection: Connection, older_than_us: int) -> Iterator[AccountRow]:
    """Where those accounts stand in which something is missing, or has waited since before that event time.

    In most of what is not settled the newest records are at the edge and all before them is stored: such an account is
    recognised by its bounds, without its range sets.
    """
    bounds = (func.count(intervals.c.first), func.min(intervals.c.first), func.max(intervals.c.last))
    joined = accounts.join(sites, sites.c.id == accounts.c.site_id)
    query = select(accounts.c.id, accounts.c.head, accounts.c.held, accounts.c.oldest_us, *bounds)
    query = query.select_from(joined.outerjoin(intervals, intervals.c.account_id == accounts.c.id))
    active = sites.c.revoked_us.is_(None)
    rows = connection.execute(query.where(~_SETTLED, active).group_by(accounts.c.id))
    troubled = [
        account_id
        for account_id, head, held, oldest_us, count, first, last in rows
        if (oldest_us is not None and oldest_us < older_than_us)
        or not _is_plain(bytes(held), head, count, first or 1, last or 0)
    ]
    for some in _portions(troubled):
        yield from _read_unsettled(connection, [accounts.c.id.in_(some)])


def _is_plain(held: bytes, head: int, count: int, first: int, last: int) -> bool:
    """Whether one range is stored (or shed) from the beginning on, and the rest, as one range too, is held."""
    return count <= 1 and first == 1 and held == pack_ranges(RangeSet(((last + 1, head),)))


def read_settled_sums(connection: Connection) -> Iterator[SettledSum]:
    """All accounts in which every record is stored or receipted, added up: a row for each site that has any account."""
    # A row for each of their streams would be ten times as many to carry over.
    is_refused = accounts.c.stream.endswith(f".{QUARANTINE}", autoescape=True)
    base = func.replace(accounts.c.stream, f".{QUARANTINE}", "")
    sums = (
        func.count(base.distinct()).label("streams"),
        func.sum(case((and_(_SETTLED, not_(is_refused)), accounts.c.stored_count), else_=0)).label("stored"),
        func.sum(case((and_(_SETTLED, is_refused), accounts.c.stored_count), else_=0)).label("quarantined"),
        func.sum(case((_SETTLED, accounts.c.receipted_count), else_=0)).label("receipted"),
    )
    # Of ten thousand rows, all at once and by place cost a fraction of one by one and by name; so does no join.
    named = connection.execute(select(sites.c.id, sites.c.name)).all()
    names = {id_: name for id_, name in named}  # noqa: C416 - rows
    rows = connection.execute(select(accounts.c.site_id, *sums).group_by(accounts.c.site_id)).all()
    for site_id, streams, stored, quarantined, receipted in rows:
        yield SettledSum(names[site_id], streams, int(stored), int(quarantined), int(receipted))


def _read_settled(connection: Connection, asked: list[ColumnElement[bool]]) -> Iterator[AccountRow]:
    sums = (func.sum(accounts.c.stored_count).label("stored"), func.sum(accounts.c.receipted_count).label("receipted"))
    query = select(*_OF_SITE, accounts.c.stream, *sums).join_from(accounts, sites, sites.c.id == accounts.c.site_id)
    for row in connection.execute(query.where(_SETTLED, *asked).group_by(sites.c.id, accounts.c.stream)):
        stored, receipted = int(row.stored), int(row.receipted)
        stands = Balance(produced=stored + receipted, stored=stored, receipted=receipted)
        yield AccountRow(row.name, row.stream, stands, row.last_seen_us, row.revoked_us is not None)


def _read_unsettled(connection: Connection, asked: list[ColumnElement[bool]]) -> Iterator[AccountRow]:
    joined = accounts.join(sites, sites.c.id == accounts.c.site_id)
    columns = (accounts.c.id, accounts.c.incarnation, accounts.c.stream, *_OF_SITE, *_FACTS)
    rows = connection.execute(select(*columns).select_from(joined).where(~_SETTLED, *asked)).all()
    ranges = _INTERVALS.select_from(joined.join(intervals, intervals.c.account_id == accounts.c.id))
    sets = _range_sets(connection.execute(ranges.where(~_SETTLED, *asked)))
    for row in rows:
        account, revoked = _account(row, sets[row.id]), row.revoked_us is not None
        life, stands = bytes(row.incarnation), balance(account)
        yield AccountRow(row.name, row.stream, stands, row.last_seen_us, revoked, life, account.oldest_us)


def _companions(stream: str) -> list[str]:
    return [f"{stream}.quarantine"]


def _new(key: AccountKey) -> dict[str, Any]:
    site_id, incarnation, stream = key
    return {"site_id": site_id, "incarnation": incarnation, "stream": stream, "held": _NOTHING_HELD}


def _range_sets(ranges: Iterable[Row[int, str, int, int]]) -> dict[int, dict[str, RangeSet]]:
    """Range sets by account and kind, from rows that are in order."""
    found: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for account_id, kind, first, last in ranges:
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
        told=row.told_count,
        placed=row.placed,
        archived=row.archived,
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
        "told_count": account.told,
        "placed": account.placed,
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
        connection.execute(_DELETE_INTERVAL, gone)
    upsert(connection, intervals, put, ["last"])


def _portions(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _KEYS_PER_QUERY):
        yield items[start : start + _KEYS_PER_QUERY]
