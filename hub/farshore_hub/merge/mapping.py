"""What somebody has declared for values that a merged table cannot take in, and changes brought to its columns by that.

A declaration is asked only about what does not fit, so it changes nothing that was merged before, and a change that is
merged once more after it comes to the same. Pure.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from farshore_hub.merge.types import Type, misfits
from farshore_hub.texts import exact_json

if TYPE_CHECKING:
    from farshore_hub.merge.layout import Column, Layout

_EXACT: Final = 2.0**53
"""Up to here every whole number is a float, and the other way round."""


class MapKind(enum.StrEnum):
    """What becomes of a value that its column cannot hold."""

    RENAME = "rename"
    """It goes into another column; a column that the table does not have at all is that one."""
    DEFAULT = "default"
    """Another value takes its place; of a key, that of a part which is missing."""
    WIDEN = "widen"
    """The column holds any value from now on."""
    DROP = "drop"
    """It is left out, and what else the change says is merged."""


class Mapped(msgspec.Struct, frozen=True, array_like=True):
    """A declaration; a later one for the same column takes its place.

    Attributes:
        column: as a site calls it.
        to: of a rename the other column; of a default the value, as exact JSON.
    """

    column: str
    kind: MapKind
    to: str = ""
    made_us: int = 0
    made_by: str = ""
    reason: str = ""


class Unfit(ValueError):
    """A change is not of the merged table's form; the text says why."""


def fitted(change: Mapping[str, Any], layout: Layout, faulty: Collection[int]) -> dict[str, Any]:
    """A change that does not fit, as far as it can be brought to the table's columns.

    Args:
        change: as a site says it.
        layout: of the table, with what was declared.
        faulty: the places of those of its cells that their columns cannot take.

    Raises:
        Unfit: its key has other parts, or it names a column that the table does not have.
    """
    rules = {name: each for each in layout.mapped for name in _names(each.column, layout)}
    key = _key(change.get("key") or {}, layout.key, rules)
    cells, gone = {}, set()
    for name, value in (change.get("cells") or {}).items():
        place = layout.place_of(name)
        if place is not None and place not in faulty:
            cells[name] = value
            continue
        suited = value if place is None else _suited(value, layout.cells[place].type)
        if place is not None and suited is not value:
            cells[name] = suited
            continue
        _follow(rules.get(name), name, value, cells, is_known=place is not None)
        gone |= {name} - cells.keys()
    deltas = {name: delta for name, delta in (change.get("deltas") or {}).items() if name not in gone}
    return {**change, "key": key, "cells": cells, **({"deltas": deltas} if "deltas" in change else {})}


def _follow(rule: Mapped | None, name: str, value: Any, cells: dict[str, Any], *, is_known: bool) -> None:  # noqa: ANN401
    kind = rule.kind if rule else None
    if rule and kind is MapKind.RENAME:
        cells.setdefault(rule.to, value)
    elif rule and kind is MapKind.DEFAULT and is_known:
        cells[name] = exact_json.loads(rule.to)
    elif kind is not MapKind.DROP:
        if not is_known:
            raise Unfit(f"the table has no column {name}: rename or drop it")
        cells[name] = value


def _key(given: Mapping[str, Any], columns: Iterable[Column], rules: Mapping[str, Mapped]) -> dict[str, Any]:
    """The key by the table's own columns; a part that it does not have is renamed or dropped as declared."""
    key: dict[str, Any] = {}
    known = {name: each for each in columns for name in each.names}
    for name, value in given.items():
        rule = rules.get(name)
        called = rule.to if rule and rule.kind is MapKind.RENAME and name not in known else name
        if called in known:
            key[known[called].name] = _suited(value, known[called].type)
        elif rule is None or rule.kind is not MapKind.DROP:
            raise Unfit(f"its key has {name}, and that of the merged table {', '.join(each.name for each in columns)}")
    for each in columns:
        rule = next((rules[name] for name in each.names if name in rules), None)
        if each.name not in key and rule and rule.kind is MapKind.DEFAULT:
            key[each.name] = exact_json.loads(rule.to)
        if each.name not in key:
            raise Unfit(f"its key is {', '.join(given)}, and lacks {each.name}")
    return key


def _suited(value: Any, type_: Type) -> Any:  # noqa: ANN401 - any value
    """The same number as the column has it: SQLite does so too where a column is declared a whole number or a real."""
    if type_ is Type.REAL and type(value) is int and abs(value) <= _EXACT:
        return float(value)
    if type_ is Type.INTEGER and type(value) is float and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def _names(column: str, layout: Layout) -> tuple[str, ...]:
    """All names of the column that is, or was, called so."""
    return next((each.names for each in (*layout.key, *layout.cells) if column in each.names), (column,))


def check(mapped: Mapped, layout: Layout) -> None:
    """Whether a declaration makes sense.

    Raises:
        Unfit: it does not; the text says why.
    """
    place, keys = layout.place_of(mapped.column), {name for each in layout.key for name in each.names}
    is_key = mapped.column in keys
    if mapped.kind is MapKind.WIDEN:
        if place is None:
            why = (
                "a key stays as it is: capture the table by another name" if is_key else "the table has no such column"
            )
            raise Unfit(f"{mapped.column} cannot be widened: {why}")
        if layout.cells[place].type is Type.ANY:
            raise Unfit(f"{mapped.column} holds any value already")
    if mapped.kind is MapKind.RENAME and (not mapped.to or mapped.to == mapped.column or "\0" in mapped.to):
        raise Unfit("a rename needs the name of another column")
    if mapped.kind is MapKind.RENAME and is_key:
        raise Unfit(f"{mapped.column} is a part of the table's key, and keeps its name")
    if mapped.kind is MapKind.DEFAULT:
        _check_default(mapped, layout, place, is_key=is_key)


def _check_default(mapped: Mapped, layout: Layout, place: int | None, *, is_key: bool) -> None:
    value = exact_json.loads(mapped.to)
    if place is None and not is_key:
        raise Unfit(f"the table has no column {mapped.column}")
    columns = layout.key if is_key else layout.cells
    type_ = next(each.type for each in columns if mapped.column in each.names)
    if isinstance(value, bool | list | dict) or misfits([value], type_) or (is_key and value is None):
        raise Unfit(f"the default of {mapped.column} is not {type_}")
