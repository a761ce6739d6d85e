"""What forgetting deletes asks of the store: how far sites are. Each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from farshore_hub.merge.forgetting import Reader
from farshore_hub.store.dialect import insert_missing
from farshore_hub.store.fleet import SiteState
from farshore_hub.store.schema import (
    accounts,
    batches,
    merged_batches,
    merged_tables,
    sites,
    table_departures,
    table_readers,
)
from farshore_protocol.names import CHANGES, companion_of

_one = table_readers.c


def note_asked(
    connection: Connection, table_id: int, site_id: int, now_us: int, whole: tuple[int, int, int] | None
) -> None:
    """A site has asked for a table.

    Args:
        connection: the caller's transaction.
        table_id: of the table.
        site_id: of the site.
        now_us: the hub's clock.
        whole: the version up to which its copy has everything, the number of its last change and its clock; None while
            it is not so far. What it told before is kept until it is settled, or it would never be.
    """
    insert_missing(connection, table_readers, [{"table_id": table_id, "site_id": site_id, "merged": 0}])
    own = and_(_one.table_id == table_id, _one.site_id == site_id)
    connection.execute(update(table_readers).where(own).values(asked_us=now_us))
    if whole is not None:
        version, number, hlc = whole
        told = {"asked_version": version, "asked_number": number, "asked_hlc": hlc}
        is_settled = _one.asked_version <= _one.safe_version
        connection.execute(update(table_readers).where(own, is_settled).values(told))


def settle(connection: Connection, table_id: int, name: str) -> None:
    """Let count what sites have told, where all that they had changed before is merged."""
    ready = and_(_one.merged >= _one.asked_number, or_(_one.asked_number == 0, _is_through(name, _one.site_id)))
    news = update(table_readers).where(_one.table_id == table_id, _one.asked_version > _one.safe_version, ready)
    connection.execute(news.values(safe_version=_one.asked_version, safe_hlc=_one.asked_hlc))


def readers(connection: Connection, table_id: int, name: str) -> list[Reader]:
    """All sites that have announced or sent a change of the table, or asked for it."""
    is_known = and_(_one.table_id == table_id, _one.site_id == sites.c.id)
    announced = select(accounts.c.id).where(
        accounts.c.site_id == sites.c.id, accounts.c.stream == companion_of(name, CHANGES)
    )
    query = (
        select(
            sites.c.name,
            sites.c.state == SiteState.REVOKED.value,
            sites.c.last_seen_us,
            *(func.coalesce(each, 0) for each in (_one.asked_us, _one.safe_version, _one.safe_hlc)),
            _is_through(name, sites.c.id),
            func.coalesce(_one.is_out, False),
        )
        .select_from(sites.outerjoin(table_readers, is_known))
        .where(or_(_one.site_id.is_not(None), announced.exists()))
        .order_by(sites.c.name)
    )
    return [
        Reader(name, bool(revoked), max(seen or 0, asked), bool(asked), version, hlc, bool(through), bool(out))
        for name, revoked, seen, asked, version, hlc, through, out in connection.execute(query)
    ]


def _is_through(name: str, site_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether all changes that a site has announced are here, and merged."""
    stream = companion_of(name, CHANGES)
    own = and_(accounts.c.site_id == site_id, accounts.c.stream == stream)
    lacking = select(accounts.c.id).where(own, accounts.c.stored_count + accounts.c.receipted_count < accounts.c.head)
    waiting = (
        select(batches.c.id)
        .join_from(batches, accounts, batches.c.account_id == accounts.c.id)
        .outerjoin(merged_batches, merged_batches.c.batch_id == batches.c.id)
        .where(own, merged_batches.c.batch_id.is_(None))
        .where(batches.c.raw.is_not(None), batches.c.quarantined.is_(None))
    )
    return and_(~lacking.exists(), ~waiting.exists())


def horizon(connection: Connection, table_id: int) -> tuple[int, int]:
    """Up to which stamp nothing is merged any more, and up to which version tombstones may be gone."""
    found = select(merged_tables.c.horizon, merged_tables.c.floor).where(merged_tables.c.id == table_id)
    at, floor = connection.execute(found).one()
    return int(at), int(floor)


def is_out(connection: Connection, table_id: int, site_id: int) -> bool:
    """Whether a site is counted out of a table."""
    own = and_(_one.table_id == table_id, _one.site_id == site_id)
    return bool(connection.scalar(select(_one.is_out).where(own)))


def let_in(connection: Connection, table_id: int, names: Iterable[str]) -> None:
    """Sites that were counted out count again."""
    _mark(connection, table_id, names, is_out=False)


def forgotten(connection: Connection, table_id: int, at: int, version: int, out: Iterable[str]) -> None:
    """Tombstones up to a version and a stamp are gone; what tells of rows that left a scope goes with them."""
    own = merged_tables.c
    raised = {
        "horizon": func.max(own.horizon, at) if connection.dialect.name == "sqlite" else func.greatest(own.horizon, at),
        "floor": version,
    }
    connection.execute(update(merged_tables).where(own.id == table_id).values(raised))
    departed = table_departures.c
    connection.execute(delete(table_departures).where(departed.table_id == table_id, departed.version <= version))
    _mark(connection, table_id, out, is_out=True)


def _mark(connection: Connection, table_id: int, names: Iterable[str], *, is_out: bool) -> None:
    ids = [*connection.scalars(select(sites.c.id).where(sites.c.name.in_(sorted(names))))]
    if is_out:
        insert_missing(
            connection, table_readers, [{"table_id": table_id, "site_id": each, "merged": 0} for each in ids]
        )
    own = and_(_one.table_id == table_id, _one.site_id.in_(ids))
    connection.execute(update(table_readers).where(own, _one.is_out != is_out).values(is_out=is_out))
