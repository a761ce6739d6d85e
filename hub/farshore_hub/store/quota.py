"""How many bytes of the sites' own the database keeps: sealed batches, forks, dictionaries, key epochs."""

from __future__ import annotations

from collections import Counter
from typing import Final

from sqlalchemy import Column, Connection, func, select

from farshore_hub.store.dialect import database_bytes
from farshore_hub.store.schema import accounts, batches, dictionaries, forks, key_epochs, sites

_BYTES: Final[tuple[Column[bytes], ...]] = (
    batches.c.raw,
    forks.c.raw,
    dictionaries.c.content,
    key_epochs.c.message,
)


def kept_at_most(connection: Connection) -> int:
    """What no site is over: the size of the whole database. Quick."""
    return database_bytes(connection)


def kept_by_site(connection: Connection, site_id: int | None = None) -> dict[int, int]:
    """What is kept of every site, or of one, by id. Reads an entry for each batch."""
    kept: Counter[int] = Counter()
    for column in _BYTES:
        table = column.table
        by_account = "account_id" in table.c
        owner = accounts.c.site_id if by_account else table.c.site_id
        query = select(owner, func.sum(func.length(column))).group_by(owner)
        if by_account:
            query = query.join_from(table, accounts, table.c.account_id == accounts.c.id)
        if site_id is not None:
            query = query.where(owner == site_id)
        for site, size in connection.execute(query):
            kept[site] += int(size or 0)
    return dict(kept)


def over(connection: Connection, max_bytes: int) -> list[str]:
    """The names of the sites of which more is kept. Quick while the whole database is smaller than that."""
    if kept_at_most(connection) <= max_bytes:
        return []
    full = [site for site, size in kept_by_site(connection).items() if size >= max_bytes]
    return list(connection.scalars(select(sites.c.name).where(sites.c.id.in_(full)).order_by(sites.c.name)))
