"""What a table of an application's database looks like, and whether its changes can be captured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import apsw

from farshore_agent.errors import Problem
from farshore_agent.tables.sql import row, rows

_FINGERPRINT_BYTES: Final = 8
_GENERATED: Final = (2, 3)
_CONSTRAINTS: Final = ("u", "pk")
_NO_TABLE: Final = "there is no such table in the database"


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the application declared it.

    Attributes:
        type: its declared type; may be empty.
        not_null: whether it refuses NULL.
        default: SQL text of its default; None if it has none.
    """

    name: str
    type: str
    not_null: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class Unique:
    """What may make one row replace another: UNIQUE over other columns than the key.

    Attributes:
        columns, collations: of what is compared, and how.
        is_constraint: it is part of the table's definition, so its columns cannot be dropped; an index can go.
    """

    columns: tuple[str, ...]
    collations: tuple[str, ...]
    is_constraint: bool


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table, as far as capturing needs it.

    Attributes:
        columns: those that are stored; generated ones are not.
        key: the columns that name a row.
        uniques: what else may make one row replace another.
        is_strict: a STRICT table.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    uniques: tuple[Unique, ...] = ()
    is_strict: bool = False

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that are the same for the same columns and key, wherever the table is."""
        text = repr(([(each.name, each.type, each.not_null, each.default) for each in self.columns], self.key))
        return hashlib.blake2b(text.encode(), digest_size=_FINGERPRINT_BYTES).digest()

    def captured(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """The columns beside the key, of which only those are captured that are wanted; all, if none are named."""
        chosen = {each.lower() for each in wanted}
        names = [each.name for each in self.columns if each.name not in self.key]
        return tuple(name for name in names if not chosen or name.lower() in chosen)

    def column(self, name: str) -> Column | None:
        """The column of that name, in SQL's way of comparing names."""
        return next((each for each in self.columns if each.name.lower() == name.lower()), None)


def read_schema(database: apsw.Connection, table: str, key: Iterable[str] = ()) -> TableSchema | None:
    """The table as it is now; None if there is none. `key` names the key's columns; the primary key otherwise."""
    table_row = row(database, "SELECT name, strict FROM pragma_table_list(?) WHERE schema = 'main'", (table,))
    if table_row is None:
        return None
    name, strict = table_row
    found = rows(
        database,
        'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid',
        (name,),
    )
    columns = tuple(
        Column(column, declared, bool(not_null), default)
        for column, declared, not_null, default, _, hidden in found
        if hidden not in _GENERATED
    )
    primary = tuple(each[0] for each in sorted(found, key=itemgetter(4)) if each[4])
    schema = TableSchema(name, columns, (), is_strict=bool(strict))
    spelt = [schema.column(each) for each in key]
    chosen = tuple(each.name for each in spelt if each) or primary
    return TableSchema(name, columns, chosen, tuple(_uniques(database, name, chosen)), bool(strict))


def _uniques(database: apsw.Connection, table: str, key: tuple[str, ...]) -> Iterator[Unique]:
    indexes = rows(database, 'SELECT name, origin FROM pragma_index_list(?) WHERE "unique"', (table,))
    for index, origin in indexes:
        parts = rows(database, "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno", (index,))
        names, collations = zip(*parts, strict=True)
        if set(names) != set(key):
            # An index over an expression has no name for it.
            yield Unique(names, collations, origin in _CONSTRAINTS and None not in names)


def problems_of(
    database: apsw.Connection, at: str, table: str, key: tuple[str, ...], columns: tuple[str, ...]
) -> Iterator[Problem]:
    """Everything that keeps a table from being captured. `at` is its key path in the settings."""
    found = row(database, "SELECT type FROM pragma_table_list(?) WHERE schema = 'main'", (table,))
    if found is None:
        yield Problem(f"{at}.table", f"{table!r}: {_NO_TABLE}", _nearby(database))
        return
    if found[0] != "table":
        yield Problem(f"{at}.table", f"{table!r} is a {found[0]}: it has no triggers that see every change")
        return
    schema = read_schema(database, table, key)
    assert schema is not None  # noqa: S101 - it was there a line before
    for name in key:
        if schema.column(name) is None:
            yield Problem(f"{at}.key", f"{table!r} has no column {name!r}", _columns(schema))
    if not schema.key:
        remedy = "give it a PRIMARY KEY, or name columns that are unique and never NULL with key = […]"
        yield Problem(f"{at}.key", f"{table!r} has no primary key: nothing names its rows", remedy)
    for name in columns:
        if schema.column(name) is None:
            yield Problem(f"{at}.columns", f"{table!r} has no column {name!r} that is stored", _columns(schema))
    if key and not _is_unique(database, schema):
        yield Problem(f"{at}.key", f"no UNIQUE index says that {', '.join(key)} names one row", "create such an index")


def _is_unique(database: apsw.Connection, schema: TableSchema) -> bool:
    plain = read_schema(database, schema.name)
    assert plain is not None  # noqa: S101 - the caller has just read it
    return set(plain.key) == set(schema.key) or any(set(each.columns) == set(schema.key) for each in plain.uniques)


def _nearby(database: apsw.Connection) -> str:
    names = rows(
        database,
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
        "AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE '~_farshore~_%' ESCAPE '~' ORDER BY name LIMIT 20",
    )
    return f"it has {', '.join(name for (name,) in names)}" if names else "it has no tables"


def _columns(schema: TableSchema) -> str:
    return f"it has {', '.join(each.name for each in schema.columns)}"
