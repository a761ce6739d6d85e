"""The one place where SQLite and PostgreSQL are told apart: inserts that meet what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Insert, Select, Table, text
from sqlalchemy.dialects import postgresql, sqlite

_DIALECTS: Final[dict[str, Any]] = {"postgresql": postgresql, "sqlite": sqlite}
_PAGES: Final = ("page_count", "freelist_count", "page_size")


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; those whose key is there already are left as they are."""
    if rows:
        connection.execute(_insert_missing(connection.dialect.name, table), list(rows))


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], changing: Sequence[str]) -> None:
    """Insert rows; where the primary key is there already, its columns `changing` are set."""
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, tuple(changing)), list(rows))


def locked(connection: Connection, query: Select[Any]) -> Select[Any]:
    """The query with its rows locked until the transaction ends. SQLite's writer has the whole database already."""
    return query.with_for_update() if connection.dialect.name == "postgresql" else query


def database_bytes(connection: Connection) -> int:
    """What the database takes on its disk, less what is free in it where that is known."""
    if connection.dialect.name == "postgresql":
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    pages, free, size = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in _PAGES)
    return (pages - free) * size


# Making such a statement costs more than running it for a row.


@lru_cache(maxsize=256)
def _insert_missing(dialect: str, table: Table) -> Insert:
    statement: Insert = _DIALECTS[dialect].insert(table).on_conflict_do_nothing()
    return statement


@lru_cache(maxsize=256)
def _upsert(dialect: str, table: Table, changing: tuple[str, ...]) -> Insert:
    insert = _DIALECTS[dialect].insert(table)
    new = {name: insert.excluded[name] for name in changing}
    statement: Insert = insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=new)
    return statement
