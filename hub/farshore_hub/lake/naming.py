"""Which column of a stream's table holds a field's values of one type.

The first type that a field has gets a column named like the field, another type of the same field `field:type`; nested
values are always in `field:json`, so that a column's name and type tell all that rebuilding a record needs. What always
holds: two columns never differ by case alone, a column's name gives back its field, and a column is never renamed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

SITE: Final = "_site"
INCARNATION: Final = "_incarnation"
SEQUENCE: Final = "_seq"
TIME: Final = "_time"
REST: Final = "_rest"
SYSTEM_COLUMNS: Final = (SITE, INCARNATION, SEQUENCE, TIME, REST)

MAX_COLUMNS: Final = 2000
"""Columns of one table; the fields beyond go to `_rest`. A producer with ids as field names must not hurt others."""

MAX_COLUMN_CHARS: Final = 200


class ColumnType(enum.StrEnum):
    """The types of columns, as DuckDB names them."""

    BOOLEAN = "boolean"
    BIGINT = "bigint"
    DOUBLE = "double"
    VARCHAR = "varchar"
    BINARY = "binary"
    JSON = "json"


class LakeColumn(NamedTuple):
    """One column of a stream's table: the values of `field` that are of `type`."""

    field: str
    type: ColumnType
    column: str


class ColumnMap:
    """The columns of one stream; it grows as fields and types are met.

    Attributes:
        added: the columns that were not there when the map was made.
    """

    def __init__(self, columns: Iterable[LakeColumn] = ()) -> None:
        self.added: list[LakeColumn] = []
        self._columns: dict[tuple[str, ColumnType], LakeColumn] = {}
        self._taken = {name.casefold() for name in SYSTEM_COLUMNS}
        self._fields: set[str] = set()
        for each in columns:
            self._take(each)

    def __iter__(self) -> Iterator[LakeColumn]:
        return iter(self._columns.values())

    def column_of(self, field: str, kind: ColumnType) -> str | None:
        """The column for `field`'s values of that type; None when they have to go to `_rest`."""
        known = self._columns.get((field, kind))
        if known is not None:
            return known.column
        if len(self._columns) >= MAX_COLUMNS or not _can_name_a_column(field):
            return None
        column = self._new_name(field, kind)
        if len(column) > MAX_COLUMN_CHARS:
            return None
        new = LakeColumn(field, kind, column)
        self._take(new)
        self.added.append(new)
        return column

    def _new_name(self, field: str, kind: ColumnType) -> str:
        bare = field not in self._fields and kind is not ColumnType.JSON
        suffix = "" if bare else f":{kind}"
        column = encoded(field) + suffix
        return column if column.casefold() not in self._taken else _percent(field) + suffix

    def _take(self, column: LakeColumn) -> None:
        self._columns[column.field, column.type] = column
        self._taken.add(column.column.casefold())
        if column.type is not ColumnType.JSON:
            self._fields.add(column.field)


def field_of(column: str) -> str:
    """The field whose values a column holds."""
    return unquote(column.partition(":")[0])


def is_json(column: str) -> bool:
    """Whether a column holds nested values as JSON text."""
    return column.endswith(f":{ColumnType.JSON}")


def encoded(field: str) -> str:
    """The field's name as a column's: what Delta or SQL could choke on is percent-encoded, and so is a leading `_`."""
    start = "%5F" if field.startswith("_") else ""
    return start + "".join(c if c.isalnum() or c in "_-" else _percent(c) for c in field[1 if start else 0 :])


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _can_name_a_column(field: str) -> bool:
    """Whether stores and SQL take the name at all: not empty, no NUL, no lone surrogate."""
    if not field or "\0" in field:
        return False
    return not any("\ud800" <= c <= "\udfff" for c in field)
