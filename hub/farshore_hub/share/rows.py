"""From rows of the database to what sites are told of them. Pure."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from farshore_hub.merge.layout import Column, Layout
from farshore_hub.merge.statements import NEVER
from farshore_hub.merge.types import Type
from farshore_hub.texts import exact_json
from farshore_protocol.tables import Cell, ColumnTold, Key, RowTold


def columns_told(columns: tuple[Column, ...]) -> list[ColumnTold]:
    """Columns for a page."""
    return [ColumnTold(list(each.names), each.type.value) for each in columns]


def key_of(layout: Layout, row: RowMapping) -> Key:
    """The key of a row."""
    return [cell_of(row[f"k{place}"], each.type) for place, each in enumerate(layout.key)]


def key_told(layout: Layout, values: list[Any]) -> Key:
    """The same of a key that was kept as a list."""
    return [cell_of(value, each.type) for value, each in zip(values, layout.key, strict=True)]


def row_told(layout: Layout, row: RowMapping) -> RowTold:
    """A row, as `Statements.changed` has it; cells that nobody ever wrote are left out."""
    cells = {
        place: cell_of(row[f"c{place}"], each.type)
        for place, each in enumerate(layout.cells)
        if row[f"c{place}_at"] > NEVER
    }
    return RowTold(key_of(layout, row), cells)


def latest(layout: Layout, row: RowMapping) -> int:
    """The latest stamp of a row."""
    return max(int(row["row_at"]), *(int(row[f"c{place}_at"]) for place in range(len(layout.cells))), 0)


def cell_of(value: Any, type_: Type) -> Cell:  # noqa: ANN401 - whatever the driver has
    """A value as SQLite has it."""
    if value is None:
        return None
    if type_ is Type.BYTES:
        return bytes(value)
    if type_ is not Type.ANY:
        return value
    read = exact_json.loads(value)
    # An edit of the hub's may hold what SQLite cannot: it comes as its text.
    if isinstance(read, bool):
        return int(read)
    return value if isinstance(read, list | dict) else read
