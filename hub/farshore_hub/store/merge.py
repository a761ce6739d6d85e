"""What merging asks of the store: merged tables and their layouts, batches that wait, the conflict ledger.

Each function runs in the caller's transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, func, insert, or_, select, update

from farshore_hub.merge.conflicts import Conflict
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Policy
from farshore_hub.store.dialect import insert_missing, locked, upsert
from farshore_hub.store.schema import (
    accounts,
    batches,
    merge_misfits,
    merged_batches,
    merged_tables,
    sites,
    table_conflicts,
    table_departures,
    table_edits,
    table_readers,
)
from farshore_hub.texts import exact_json
from farshore_protocol.names import CHANGES, companion_of

_MARK_BYTES: Final = 16
LOST: Final = "lost"
OPEN: Final = "open"
RESOLVED: Final = "resolved"
UNDONE: Final = "undone"
WAITING: Final = "waiting"
MERGED: Final = "merged"


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """A batch of changes that is not merged yet.

    Attributes:
        take: which of its sequences count, packed; None for all of them.
        before: how many changes came with it, in the same parcel, and go before its own.
    """

    id: int
    site_id: int
    site: str
    first: int
    take: bytes | None
    received_us: int
    raw: bytes
    before: int


@dataclass(frozen=True, slots=True)
class MergedTable:
    """A merged table, and how much was merged into it."""

    id: int
    name: str
    layout: Layout
    sites: int
    batches: int
    conflicts: int
    open: int
    misfits: int


def open_table(connection: Connection, name: str, now_us: int) -> tuple[int, Layout]:
    """The table of that name, made if there is none; until the transaction ends nobody else changes its layout."""
    query = locked(connection, select(merged_tables.c.id, merged_tables.c.layout).where(merged_tables.c.name == name))
    found = connection.execute(query).one_or_none()
    if found is None:
        row = {"name": name, "layout": msgspec.msgpack.encode(Layout()), "created_us": now_us}
        insert_missing(connection, merged_tables, [row])
        found = connection.execute(query).one()
    return found.id, msgspec.msgpack.decode(found.layout, type=Layout)


def find_table(connection: Connection, name: str) -> tuple[int, Layout] | None:
    """The table of that name, if there is one: its number and its layout."""
    query = select(merged_tables.c.id, merged_tables.c.layout).where(merged_tables.c.name == name)
    found = connection.execute(query).one_or_none()
    return (found.id, msgspec.msgpack.decode(found.layout, type=Layout)) if found else None


def save_layout(connection: Connection, table_id: int, layout: Layout) -> None:
    """Keep a table's layout."""
    packed = msgspec.msgpack.encode(layout)
    connection.execute(update(merged_tables).where(merged_tables.c.id == table_id).values(layout=packed))


def followed(connection: Connection, table_id: int) -> tuple[list[str], str]:
    """The policies of a table's cells, by place, and of its deletes, that its rows were merged by up to now."""
    kept = connection.scalar(select(merged_tables.c.rules).where(merged_tables.c.id == table_id))
    policies, deletes = json.loads(kept) if kept else ([], "")
    return policies, deletes


def follow(connection: Connection, table_id: int, policies: list[str], deletes: str) -> None:
    """From now on others."""
    rules = json.dumps([policies, deletes])
    connection.execute(update(merged_tables).where(merged_tables.c.id == table_id).values(rules=rules))


def number(connection: Connection, table_id: int, count: int) -> int:
    """Take the next `count` numbers for changed rows; the one before them.

    Whoever merges does this first: until the transaction ends nobody else merges into this table, so that numbers
    become visible in their order, and whoever reads on after a number misses nothing.
    """
    own = merged_tables.c.id == table_id
    taken = update(merged_tables).where(own).values(version=merged_tables.c.version + count)
    return int(connection.execute(taken.returning(merged_tables.c.version)).scalar_one()) - count


def note_departures(connection: Connection, table_id: int, gone: Iterable[tuple[int, list[Any], list[Any]]]) -> None:
    """Keep which rows may have left a scope: each with its version, the scope and its key."""
    rows = [
        {"table_id": table_id, "version": version, "scope": exact(scope), "row_key": exact(key)}
        for version, scope, key in gone
    ]
    if rows:
        connection.execute(insert(table_departures), rows)


def exact(values: Iterable[Any]) -> str:
    """Values of the database as exact JSON; the drivers have different classes for bytes."""
    return exact_json.dumps([bytes(each) if isinstance(each, bytearray | memoryview) else each for each in values])


def note_numbers(connection: Connection, table_id: int, site_id: int, number: int) -> None:
    """A site's changes are merged up to this number, as far as one knows; it does not go back."""
    known = connection.scalar(
        select(table_readers.c.merged).where(table_readers.c.table_id == table_id, table_readers.c.site_id == site_id)
    )
    row = {"table_id": table_id, "site_id": site_id, "merged": max(number, known or 0)}
    upsert(connection, table_readers, [row], ["merged"])


def add_edit(connection: Connection, table_id: int, change: str, at: int, made_us: int, by: str, reason: str) -> int:
    """Keep what somebody changed at the hub; its number."""
    row = {"table_id": table_id, "change": change, "at": at, "made_us": made_us, "made_by": by, "reason": reason}
    return int(connection.execute(insert(table_edits).values(row).returning(table_edits.c.id)).scalar_one())


def add_edits(
    connection: Connection, table_id: int, changes: Iterable[str], at: int, made_us: int, by: str, reason: str
) -> None:
    """Keep many of them."""
    more = {"table_id": table_id, "at": at, "made_us": made_us, "made_by": by, "reason": reason}
    connection.execute(insert(table_edits), [{"change": change, **more} for change in changes])


def edits_of(connection: Connection, table_id: int, limit: int) -> list[dict[str, Any]]:
    """What people changed at the hub, the newest first."""
    query = select(table_edits).where(table_edits.c.table_id == table_id).order_by(table_edits.c.id.desc())
    return [dict(row) for row in connection.execute(query.limit(limit)).mappings()]


def waiting(connection: Connection, table: str, after: int, limit: int) -> list[WaitingBatch]:
    """Batches of changes of that table that are not merged yet and come after that one, in their order."""
    parcel = batches.alias("parcel")
    together = and_(parcel.c.account_id == batches.c.account_id, parcel.c.received_us == batches.c.received_us)
    before = batches.c.first - select(func.min(parcel.c.first)).where(together).scalar_subquery()
    own = (batches.c.first, batches.c.take, batches.c.received_us, batches.c.raw, before)
    query = (
        select(batches.c.id, sites.c.id, sites.c.name, *own)
        .join_from(batches, accounts, batches.c.account_id == accounts.c.id)
        .join(sites, sites.c.id == accounts.c.site_id)
        .outerjoin(merged_batches, merged_batches.c.batch_id == batches.c.id)
        .where(accounts.c.stream == companion_of(table, CHANGES), merged_batches.c.batch_id.is_(None))
        .where(batches.c.id > after, batches.c.raw.is_not(None), batches.c.quarantined.is_(None))
        .order_by(batches.c.id)
    )
    return [WaitingBatch(*row) for row in connection.execute(query.limit(limit))]


def note_merged(connection: Connection, table_id: int, batch_id: int) -> None:
    """All of a batch is merged."""
    insert_missing(connection, merged_batches, [{"batch_id": batch_id, "table_id": table_id}])


def note_conflicts(connection: Connection, table_id: int, found: Iterable[Conflict], now_us: int) -> None:
    """Write the conflict ledger; one that stands there already is left alone."""
    rows = [
        {
            "table_id": table_id,
            "mark": _mark(table_id, each),
            "row_key": each.key,
            "column": each.column,
            "policy": each.policy,
            "kept_value": each.kept.value,
            "kept_at": each.kept.at,
            "kept_site_id": each.kept.by or None,
            "lost_value": each.lost.value,
            "lost_at": each.lost.at,
            "lost_site_id": each.lost.by or None,
            "found_us": now_us,
            "state": OPEN if each.policy == Policy.MANUAL else LOST,
        }
        for each in found
    ]
    insert_missing(connection, table_conflicts, rows)


def _mark(table_id: int, conflict: Conflict) -> bytes:
    """Of the value that has lost: it is in the ledger once, with the first that has beaten it."""
    told = (table_id, conflict.key, conflict.column, conflict.lost.at, conflict.lost.by)
    return hashlib.blake2b(msgspec.msgpack.encode(told), digest_size=_MARK_BYTES).digest()


def tables(connection: Connection) -> list[MergedTable]:
    """All merged tables, by name."""
    found = connection.execute(select(merged_tables).order_by(merged_tables.c.name)).all()
    return [
        MergedTable(
            each.id,
            each.name,
            msgspec.msgpack.decode(each.layout, type=Layout),
            sites=_count(connection, table_readers, each.id),
            batches=_count(connection, merged_batches, each.id),
            conflicts=_count(connection, table_conflicts, each.id),
            open=_count(connection, table_conflicts, each.id, table_conflicts.c.state == OPEN),
            misfits=_count(connection, merge_misfits, each.id, merge_misfits.c.state == WAITING),
        )
        for each in found
    ]


def _count(connection: Connection, table: Table, table_id: int, *only: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(table.c.table_id == table_id, *only)
    return int(connection.scalar(query) or 0)


@dataclass(frozen=True, slots=True)
class AskedConflicts:
    """Which entries of the conflict ledger are asked for; what is None or empty does not matter.

    Attributes:
        site: its name, on either side.
        state: lost, open, resolved or undone.
        key: of the row, as a JSON list.
        since_us: found at that time or later.
        before: entries with smaller numbers.
    """

    table: str = ""
    site: str = ""
    column: str = ""
    policy: str = ""
    state: str = ""
    since_us: int = 0
    before: int | None = None
    limit: int = 100
    key: str = ""


def conflicts_of(connection: Connection, table_id: int, limit: int) -> list[dict[str, Any]]:
    """The newest entries of one table."""
    return _conflicts(connection, [table_conflicts.c.table_id == table_id], limit)


def asked_conflicts(connection: Connection, asked: AskedConflicts) -> list[dict[str, Any]]:
    """Entries of the conflict ledger, the newest first."""
    one = table_conflicts.c
    only: list[ColumnElement[bool]] = [one.found_us >= asked.since_us]
    if asked.table:
        only.append(merged_tables.c.name == asked.table)
    if asked.site:
        site = select(sites.c.id).where(sites.c.name == asked.site).scalar_subquery()
        only.append(or_(one.kept_site_id == site, one.lost_site_id == site))
    for column, value in (
        (one.column, asked.column),
        (one.policy, asked.policy),
        (one.state, asked.state),
        (one.row_key, asked.key),
    ):
        if value:
            only.append(column == value)
    if asked.before is not None:
        only.append(one.id < asked.before)
    return _conflicts(connection, only, asked.limit)


def conflict(connection: Connection, number: int) -> dict[str, Any] | None:
    """One entry of the conflict ledger."""
    return next(iter(_conflicts(connection, [table_conflicts.c.id == number], 1)), None)


def site_names(connection: Connection) -> dict[int, str]:
    """The names of all sites, by their numbers."""
    return {site_id: name for site_id, name in connection.execute(select(sites.c.id, sites.c.name))}  # noqa: C416 - rows


def _conflicts(connection: Connection, only: list[ColumnElement[bool]], limit: int) -> list[dict[str, Any]]:
    names = site_names(connection)
    joined = select(table_conflicts, merged_tables.c.name.label("table_name")).join_from(table_conflicts, merged_tables)
    query = joined.where(*only).order_by(table_conflicts.c.id.desc())
    return [
        {
            "id": row.id,
            "table": row.table_name,
            "key": row.row_key,
            "column": row.column,
            "policy": row.policy,
            "state": row.state,
            "kept": {"value": row.kept_value, "at_us": row.kept_at, "site": names.get(row.kept_site_id)},
            "lost": {"value": row.lost_value, "at_us": row.lost_at, "site": names.get(row.lost_site_id)},
            "found_us": row.found_us,
            "edit": row.edit_id,
        }
        for row in connection.execute(query.limit(limit))
    ]


def settle_conflict(connection: Connection, number: int, state: str, edit: int) -> None:
    """Somebody has settled an entry by an edit; with it all that is open of the same cell."""
    one = table_conflicts.c
    row = connection.execute(select(one.table_id, one.row_key, one.column).where(one.id == number)).one()
    same = and_(one.table_id == row.table_id, one.row_key == row.row_key, one.column == row.column)
    connection.execute(update(table_conflicts).where(same, one.state == OPEN).values(state=RESOLVED, edit_id=edit))
    connection.execute(update(table_conflicts).where(one.id == number).values(state=state, edit_id=edit))
