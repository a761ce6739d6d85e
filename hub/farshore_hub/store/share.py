"""What sharing merged tables asks of the store. Each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, insert, select

from farshore_hub.merge.layout import Layout
from farshore_hub.store.merge import number
from farshore_hub.store.schema import (
    merged_tables,
    sites,
    table_departures,
    table_epochs,
    table_readers,
)


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A merged table.

    Attributes:
        version: the last number of a changed row.
        floor: tombstones up to this version may be gone.
        horizon: up to this stamp no change is merged any more.
    """

    id: int
    layout: Layout
    version: int
    floor: int
    horizon: int


def find_table(connection: Connection, name: str) -> SharedTable | None:
    """The merged table of that name, once a site has announced it or the hub has merged into it."""
    one = merged_tables.c
    columns = (one.id, one.layout, one.version, one.floor, one.horizon)
    found = connection.execute(select(*columns).where(merged_tables.c.name == name)).one_or_none()
    if found is None:
        return None
    return SharedTable(found.id, msgspec.msgpack.decode(found.layout, type=Layout), *found[2:])


def site_id_of(connection: Connection, site: str) -> int:
    """A site's number."""
    return int(connection.execute(select(sites.c.id).where(sites.c.name == site)).scalar_one())


def begin_epochs(connection: Connection, names: Iterable[str], epoch: bytes) -> None:
    """The hub has started: from now on cursors of these tables bear this name."""
    for table_id in connection.scalars(select(merged_tables.c.id).where(merged_tables.c.name.in_(sorted(names)))).all():
        row = {"table_id": table_id, "epoch": epoch, "since": number(connection, table_id, 0)}
        connection.execute(insert(table_epochs), [row])


def epochs_of(connection: Connection, table_id: int) -> list[tuple[bytes, int]]:
    """The starts of the hub that this table knows, in their order."""
    query = select(table_epochs.c.epoch, table_epochs.c.since).where(table_epochs.c.table_id == table_id)
    return [(bytes(epoch), since) for epoch, since in connection.execute(query.order_by(table_epochs.c.id))]


def merged_number(connection: Connection, table_id: int, site_id: int) -> int:
    """Up to which number a site's changes are merged."""
    own = (table_readers.c.table_id == table_id, table_readers.c.site_id == site_id)
    return int(connection.scalar(select(table_readers.c.merged).where(*own)) or 0)


def departures(connection: Connection, table_id: int, scope: str, after: int, limit: int) -> list[Row[Any]]:
    """Rows that may have left that scope after a version, in their order: `version`, `row_key`."""
    own = table_departures.c
    query = select(own.version, own.row_key).where(own.table_id == table_id, own.scope == scope, own.version > after)
    return list(connection.execute(query.order_by(own.version).limit(limit)))


def versions(connection: Connection) -> int:
    """A number that is another one after anything was merged."""
    return int(connection.scalar(select(func.coalesce(func.sum(merged_tables.c.version), 0))) or 0)
