"""What somebody wants to change in a merged table: read, checked, and said as a site would say it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from farshore_hub.merge.changes import MAX_DELTA
from farshore_hub.merge.layout import Column, Layout
from farshore_hub.merge.policy import Policy
from farshore_hub.merge.sets import elements_of
from farshore_hub.merge.types import Type, misfits, stored
from farshore_hub.texts import exact_json
from farshore_protocol.changes import Op

_INTEGERS: Final = range(-(2**63), 2**63)


class BadEdit(ValueError):
    """What somebody wants cannot be done; the text says why."""


def read_key(given: Sequence[Any], layout: Layout) -> dict[str, Any]:
    """The key of a row, by the present names of its columns.

    Raises:
        BadEdit: it has another number of parts, or a value that its column cannot hold.
    """
    if len(given) != len(layout.key):
        names = ", ".join(each.name for each in layout.key)
        raise BadEdit(f"the key of a row is {names}: {len(layout.key)} value(s), not {len(given)}")
    key = {each.name: _value(part, each) for each, part in zip(layout.key, given, strict=True)}
    if None in key.values():
        raise BadEdit("no part of a key can be null")
    return key


def read_cells(given: Mapping[str, Any], layout: Layout, policies: Sequence[Policy]) -> dict[str, Any]:
    """Cells, by the present names of their columns; a former name will do. A set may be given as an array.

    Raises:
        BadEdit: there is no such column, or its value is one that it cannot hold.
    """
    cells = {}
    for name, value in given.items():
        place = next((place for place, each in enumerate(layout.cells) if name in each.names), None)
        if place is None:
            known = ", ".join(each.name for each in layout.cells)
            raise BadEdit(f"the table has no column {name!r} beside its key; it has {known}")
        column, policy = layout.cells[place], policies[place]
        if unfit := policy.unfit(column.type):
            raise BadEdit(f"{column.name}: {unfit}")
        is_array = policy is Policy.SET and isinstance(value, list)
        cells[column.name] = read = _value(json.dumps(value) if is_array else value, column)
        if policy is Policy.SET and read is not None:
            _check_set(read, column.name)
    return cells


def moved(
    cells: Mapping[str, Any], before: Mapping[str, Any], layout: Layout, policies: Sequence[Policy]
) -> dict[str, int]:
    """By how much counters change that get these values; `before` has the values that are shown, by name.

    Raises:
        BadEdit: by too much.
    """
    counters = [each.name for each, policy in zip(layout.cells, policies, strict=True) if policy is Policy.SUM]
    found = {name: (cells[name] or 0) - (before.get(name) or 0) for name in counters if name in cells}
    for name, delta in found.items():
        if abs(delta) > MAX_DELTA:
            raise BadEdit(f"the counter {name} cannot change by more than {MAX_DELTA} at once")
    return found


def _check_set(value: Any, name: str) -> None:  # noqa: ANN401 - any value
    try:
        elements_of(value)
    except ValueError as error:
        raise BadEdit(f"the value of {name} {error}, and set unites JSON arrays") from None


def key_of_text(parts: Sequence[str], layout: Layout) -> list[Any]:
    """A key as it is typed in a command: numbers where the column has numbers, JSON where it may have anything.

    Raises:
        BadEdit: a part is not what its column holds.
    """
    columns = [*layout.key, *[None] * max(0, len(parts) - len(layout.key))]
    return [_typed(part, column) for part, column in zip(parts, columns, strict=False)]


def row_of_text(row: Mapping[str, str], layout: Layout) -> dict[str, Any]:
    """A row as a file of texts has it, such as CSV: typed as its columns are; an empty text is NULL.

    Raises:
        BadEdit: a text is not what its column holds.
    """
    columns = {name: each for each in (*layout.key, *layout.cells) for name in each.names}
    return {name: _typed(part, columns.get(name)) if part else None for name, part in row.items()}


def said(op: Op, layout: Layout, key: Mapping[str, Any], cells: Mapping[str, Any], at: int) -> dict[str, Any]:
    """The change, as a site would say it."""
    return {"op": op.value, "key": dict(key), "cells": dict(cells), "hlc": at, "schema": layout.schemas[-1]}


def _typed(part: str, column: Column | None) -> Any:  # noqa: ANN401 - any value
    if column is None or column.type is Type.TEXT:
        return part
    try:
        value = json.loads(part)
    except ValueError:
        if column.type is Type.ANY:
            return part
        raise BadEdit(f"{part!r} is no value of the column {column.name}, which is {column.type}") from None
    return part if isinstance(value, bool) else value


def _value(given: Any, column: Column) -> Any:  # noqa: ANN401 - any value
    """A value from JSON as the column's type has it."""
    try:
        value = exact_json.loads(json.dumps(given))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadEdit(f"the value of {column.name} cannot be read") from None
    if column.type is Type.REAL and type(value) is int:
        value = float(value) if value in _INTEGERS else value
    is_large = type(value) is int and value not in _INTEGERS
    if isinstance(value, bool | list | dict) or is_large or misfits([value], column.type):
        raise BadEdit(f"the value of {column.name} is not {_KINDS[column.type]}")
    return value


_KINDS: Final = {
    Type.INTEGER: "a whole number of 64 bits",
    Type.REAL: "a number",
    Type.TEXT: "a text (without NUL)",
    Type.BYTES: 'bytes: write them as {"$bytes": "BASE64"}',
    Type.ANY: 'a number, a text or bytes ({"$bytes": "BASE64"})',
}


def stored_key(key: Mapping[str, Any], layout: Layout) -> list[Any]:
    """A key's values as the database holds them."""
    return [stored([key[each.name]], each.type)[0] for each in layout.key]
