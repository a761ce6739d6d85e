"""Rows reordered so that those with the same key stand together.

The key column itself stays in its order, so that the decoder can work out the same permutation.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Final

from farshore_protocol.columns.values import Columns

_KEY_TYPES: Final = ({str}, {int})
_MIN_ROWS_PER_KEY: Final = 4
_MAX_CANDIDATES: Final = 3


def permutation(keys: list[Any]) -> list[int]:
    """The rows, those of the key seen first coming first, each key's rows in their order."""
    codes: dict[Any, int] = {}
    code_of_row = [codes.setdefault(key, len(codes)) for key in keys]
    return sorted(range(len(keys)), key=code_of_row.__getitem__)


def group(columns: Columns, key: str) -> dict[str, list[Any]]:
    """The fields with the rows grouped by `key`, whose own column stays as it is."""
    return _reorder(columns.fields, key, permutation(columns.fields[key]))


def ungroup(fields: dict[str, list[Any]], key: str) -> dict[str, list[Any]]:
    """The inverse of `group`."""
    order = permutation(fields[key])
    return _reorder(fields, key, sorted(range(len(order)), key=order.__getitem__))


def _reorder(fields: dict[str, list[Any]], key: str, order: list[int]) -> dict[str, list[Any]]:
    if len(order) < 2:
        return fields
    pick = itemgetter(*order)
    return {name: column if name == key else list(pick(column)) for name, column in fields.items()}


def is_key(column: list[Any]) -> bool:
    """Whether rows can be grouped by this column: all texts or all integers."""
    return set(map(type, column)) in _KEY_TYPES


def candidates(columns: Columns) -> list[str]:
    """The columns by which grouping may pay, those with the fewest different keys first."""
    sizes = []
    for name, column in columns.fields.items():
        if is_key(column):
            size = len(set(column))
            if 2 <= size <= columns.count // _MIN_ROWS_PER_KEY:
                sizes.append((size, name))
    return [name for _, name in sorted(sizes)[:_MAX_CANDIDATES]]
