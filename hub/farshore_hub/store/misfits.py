"""SQL of misfits: changes that a merged table could not take in, what came of them, and those to be tried once more.

Each function runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, func, select, update

from farshore_hub.store.dialect import insert_missing
from farshore_hub.store.merge import MERGED, WAITING
from farshore_hub.store.schema import accounts, batches, merge_misfits, merged_tables, sites


@dataclass(frozen=True, slots=True)
class AskedMisfits:
    """Which misfits are asked for; what is None or empty does not matter.

    Attributes:
        state: waiting or merged.
        after: those that come after this one in the order of the answer, a batch and a place in it.
    """

    table: str = ""
    site: str = ""
    state: str = WAITING
    after: tuple[int, int] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class WaitingMisfit:
    """A change to be tried once more, with where it came from.

    Attributes:
        before: how many changes came with its batch, in the same parcel, and go before that.
    """

    batch_id: int
    place: int
    change: str
    site_id: int
    received_us: int
    before: int


def note_misfits(
    connection: Connection,
    table_id: int,
    batch_id: int,
    found: Mapping[int, tuple[str, str]],
    now_us: int,
    *,
    tried: int,
) -> None:
    """Keep changes that cannot be merged: by place in the batch, why, and the change as JSON.

    `tried`: how many declarations there were, none of which has helped.
    """
    rows = [
        {"table_id": table_id, "batch_id": batch_id, "place": place, "why": why, "change": change, "found_us": now_us,
         "tried": tried}
        for place, (why, change) in found.items()
    ]  # fmt: skip
    insert_missing(connection, merge_misfits, rows)


def untried(connection: Connection, table_id: int, declared: int, limit: int) -> list[WaitingMisfit]:
    """Misfits that were not tried with so many declarations yet, in the order in which they came."""
    own = merge_misfits.c
    parcel = batches.alias("parcel")
    together = and_(parcel.c.account_id == batches.c.account_id, parcel.c.received_us == batches.c.received_us)
    before = batches.c.first - select(func.min(parcel.c.first)).where(together).scalar_subquery()
    query = (
        select(own.batch_id, own.place, own.change, accounts.c.site_id, batches.c.received_us, before)
        .join_from(merge_misfits, batches, batches.c.id == own.batch_id)
        .join(accounts, accounts.c.id == batches.c.account_id)
        .where(own.table_id == table_id, own.state == WAITING, own.tried < declared)
        .order_by(own.batch_id, own.place)
    )
    return [WaitingMisfit(*row) for row in connection.execute(query.limit(limit))]


def note_tried(
    connection: Connection, batch_id: int, outcomes: Mapping[int, str | None], now_us: int, *, tried: int
) -> None:
    """What became of misfits of a batch, by place: why one does not fit still, or None: it is merged."""
    own = merge_misfits.c
    this = update(merge_misfits).where(own.batch_id == batch_id, own.place == bindparam("which"))
    merged = [{"which": place} for place, why in outcomes.items() if why is None]
    waiting = [{"which": place, "because": why} for place, why in outcomes.items() if why is not None]
    if merged:
        connection.execute(this.values(state=MERGED, settled_us=now_us, tried=tried), merged)
    if waiting:
        connection.execute(this.values(why=bindparam("because"), tried=tried), waiting)


def try_all(connection: Connection, table_id: int) -> int:
    """Let all that wait be tried once more; how many."""
    own = merge_misfits.c
    waiting = update(merge_misfits).where(own.table_id == table_id, own.state == WAITING)
    return int(connection.execute(waiting.values(tried=-1)).rowcount)


def waiting(connection: Connection, table_id: int) -> int:
    """How many of a table wait."""
    own = merge_misfits.c
    query = select(func.count()).select_from(merge_misfits).where(own.table_id == table_id, own.state == WAITING)
    return int(connection.scalar(query) or 0)


def asked_misfits(connection: Connection, asked: AskedMisfits) -> list[Row[Any]]:
    """Misfits, the newest first: as the table has them, with `table` and `site`."""
    own = merge_misfits.c
    only: list[ColumnElement[bool]] = []
    if asked.table:
        only.append(merged_tables.c.name == asked.table)
    if asked.site:
        only.append(sites.c.name == asked.site)
    if asked.state:
        only.append(own.state == asked.state)
    if asked.after:
        batch, place = asked.after
        only.append((own.batch_id < batch) | ((own.batch_id == batch) & (own.place > place)))
    query = _with_origin().where(*only).order_by(own.batch_id.desc(), own.place)
    return list(connection.execute(query.limit(asked.limit)))


def misfit(connection: Connection, batch_id: int, place: int) -> Row[Any] | None:
    """One of them."""
    own = merge_misfits.c
    return connection.execute(_with_origin().where(own.batch_id == batch_id, own.place == place)).one_or_none()


def _with_origin() -> Select[Any]:
    own = merge_misfits.c
    return (
        select(*own, merged_tables.c.name.label("table"), sites.c.name.label("site"))
        .join_from(merge_misfits, merged_tables, merged_tables.c.id == own.table_id)
        .join(batches, batches.c.id == own.batch_id)
        .join(accounts, accounts.c.id == batches.c.account_id)
        .join(sites, sites.c.id == accounts.c.site_id)
    )
