"""The table that a site needs for rows of the hub's, where its application has none: made, and widened. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from farshore_agent.tables.sql import quoted
from farshore_protocol.tables import ColumnTold

_TYPES: Final = {"integer": "INTEGER", "real": "REAL", "text": "TEXT", "bytes": "BLOB"}
"""What the hub's types are in SQLite; a column of any other has no type, and holds every value as it is."""


def create_sql(table: str, key: Sequence[ColumnTold], columns: Sequence[ColumnTold]) -> str:
    """The statement that makes it."""
    named = [f"{_declared(each)} NOT NULL" for each in key] + [_declared(each) for each in columns]
    primary = ", ".join(quoted(each.names[-1]) for each in key)
    return f"CREATE TABLE {quoted(table)} ({', '.join(named)}, PRIMARY KEY ({primary}))"


def widen_sql(table: str, columns: Sequence[ColumnTold], there: Collection[str]) -> Iterator[str]:
    """Statements that add the columns which it does not have by any of their names."""
    known = {each.lower() for each in there}
    for each in columns:
        if not known.intersection(name.lower() for name in each.names):
            yield f"ALTER TABLE {quoted(table)} ADD COLUMN {_declared(each)}"


def _declared(column: ColumnTold) -> str:
    return f"{quoted(column.names[-1])} {_TYPES.get(column.type, '')}".rstrip()
