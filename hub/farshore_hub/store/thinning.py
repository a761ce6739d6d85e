"""SQL of thinning the journal: a day at a time, some accounts in each transaction; how far it is stands in `hub_meta`.

Ids of claims rise with their times, but for a clock that was set: a row that this finds out of order stays, or keeps
its day's others from going, and nothing is ever wrong for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, select, update

from farshore_hub.ledger.thinning import Noted, day_end, thinned
from farshore_hub.store.dialect import upsert
from farshore_hub.store.ranges import pack_hours, unpack_hours
from farshore_hub.store.schema import accounts, claims, hub_meta

ACCOUNTS_PER_STEP: Final = 100
_IDS_PER_QUERY: Final = 500
_KEY: Final = "claims"


class Progress(msgspec.Struct, frozen=True):
    """How far the journal is thinned.

    Attributes:
        until_us: a midnight; up to it only midnights are known exactly.
        done: up to this id all claims are dealt with.
        upto: the last id of the day that is at hand; `done` when there is none.
        account: the accounts up to this one are dealt with, of that day.
    """

    until_us: int = 0
    done: int = 0
    upto: int = 0
    account: int = 0


def progress(connection: Connection) -> Progress:
    """How far it is."""
    raw = connection.scalar(select(hub_meta.c.value).where(hub_meta.c.key == _KEY))
    return Progress() if raw is None else msgspec.msgpack.decode(bytes(raw), type=Progress)


def thin_some(connection: Connection, before_us: int, now_us: int) -> bool:
    """Thin the claims of some accounts in the oldest day that is not thinned; False when there is nothing to do.

    Args:
        connection: of the caller's transaction.
        before_us: a midnight: only days that were over then.
        now_us: what is later than now was said by a clock that was ahead, and stays.
    """
    state = progress(connection)
    if state.upto == state.done:
        began = _begin(connection, state, before_us, now_us)
        if began is None:
            return False
        state = began
    some = select(accounts.c.id).where(accounts.c.id > state.account).order_by(accounts.c.id)
    ids = list(connection.scalars(some.limit(ACCOUNTS_PER_STEP)))
    if ids:
        _thin(connection, ids, state)
        after = Progress(state.until_us, state.done, state.upto, ids[-1])
    else:
        after = Progress(state.until_us, state.upto, state.upto)
    upsert(connection, hub_meta, [{"key": _KEY, "value": msgspec.msgpack.encode(after)}], ["value"])
    return True


def _begin(connection: Connection, state: Progress, before_us: int, now_us: int) -> Progress | None:
    """The next day, if there is one that may be thinned."""
    oldest = select(claims.c.id, claims.c.at_us).where(claims.c.id > state.done).order_by(claims.c.id).limit(1)
    first = connection.execute(oldest).one_or_none()
    if first is not None and first.at_us > now_us:
        # What a clock that was ahead has left is passed over, or it would hold up everything.
        first = connection.execute(oldest.where(claims.c.at_us <= before_us)).one_or_none()
    if first is None or first.at_us > before_us:
        return None
    until_us = min(before_us, day_end(first.at_us))
    return Progress(max(state.until_us, until_us), state.done, _last_until(connection, first.id, until_us))


def _last_until(connection: Connection, first: int, until_us: int) -> int:
    """The last claim, as far as ids are in the order of times, that came up to a moment; `first` did."""
    low, high = first, connection.scalar(select(func.max(claims.c.id))) or first
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(_FROM, {"start": middle}).one()
        if row.at_us <= until_us:
            low = row.id
        else:
            high = middle - 1
    return low


_FROM: Final = (
    select(claims.c.id, claims.c.at_us).where(claims.c.id >= bindparam("start")).order_by(claims.c.id).limit(1)
)


def _thin(connection: Connection, ids: Sequence[int], state: Progress) -> None:
    own = (claims.c.id, claims.c.account_id, claims.c.at_us, claims.c.hours)
    span = (claims.c.id > state.done, claims.c.id <= state.upto, claims.c.at_us <= state.until_us)
    rows = connection.execute(select(*own).where(claims.c.account_id.in_(ids), *span).order_by(claims.c.id))
    made = thinned(Noted(id_, account, at_us, unpack_hours(hours)) for id_, account, at_us, hours in rows)
    taken: list[dict[str, Any]] = [{"claim": id_, "told": pack_hours(hours)} for id_, hours in made.hours.items()]
    if taken:
        one = update(claims).where(claims.c.id == bindparam("claim"))
        connection.execute(one.values(hours=bindparam("told")), taken)
    for start in range(0, len(made.gone), _IDS_PER_QUERY):
        connection.execute(delete(claims).where(claims.c.id.in_(made.gone[start : start + _IDS_PER_QUERY])))
