"""Rows reordered so that those with the same key stand together.

The key column itself stays in its order, so that the decoder can work out the same permutation.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate, chain, count
from operator import ne, sub
from typing import Any, Final

from farshore_protocol.columns.values import Columns
from farshore_protocol.columns.vectors import LISTS, Vector, Vectors

_KEY_TYPES: Final = ({str}, {int})
_MIN_ROWS_PER_KEY: Final = 4
_NUMBERS: Final = {int, float}
_TINY: Final = 1e-9
_MAX_COLUMN_BITS: Final = 8.0
_MAX_KEYS: Final = 2


def permutation(keys: list[Any]) -> list[int]:
    """The rows, those of the key seen first coming first, each key's rows in their order."""
    rows: dict[Any, list[int]] = {key: [] for key in dict.fromkeys(keys)}
    for row, key in enumerate(keys):
        rows[key].append(row)
    return list(chain.from_iterable(rows.values()))


def group(columns: Columns, key: str) -> dict[str, list[Any]]:
    """The fields with the rows grouped by `key`, whose own column stays as it is."""
    return _reorder(columns.fields, key, permutation(columns.fields[key]))


def ungroup(fields: dict[str, Vector], key: str, vectors: Vectors = LISTS) -> dict[str, Vector]:
    """The inverse of `group`."""
    keys = vectors.plain(fields[key])
    starts = accumulate(Counter(keys).values(), initial=0)
    places = {value: count(start) for value, start in zip(dict.fromkeys(keys), starts, strict=False)}
    return _reorder(fields, key, list(map(next, map(places.__getitem__, keys))), vectors)


def _reorder(fields: dict[str, Vector], key: str, order: list[int], vectors: Vectors = LISTS) -> dict[str, Vector]:
    if len(order) < 2:
        return fields
    rows = vectors.rows(order)
    return {name: column if name == key else vectors.reordered(column, rows) for name, column in fields.items()}


def is_key(column: list[Any]) -> bool:
    """Whether rows can be grouped by this column: all texts or all integers."""
    return set(map(type, column)) in _KEY_TYPES


def likely_keys(columns: Columns) -> list[str]:
    """The few columns by which grouping makes the others smoothest; whether it pays is another matter."""
    keys = [key for key in columns.fields if _is_candidate(columns, key)]
    roughness = {key: _roughness(columns.fields, key) for key in columns.fields} if keys else {}
    gains = {key: _gain(roughness, group(columns, key), key) for key in keys}
    return sorted(keys, key=gains.__getitem__, reverse=True)[:_MAX_KEYS]


def _is_candidate(columns: Columns, key: str) -> bool:
    """Whether the column has few different keys, and rows that do not stand together already."""
    column = columns.fields[key]
    if not is_key(column) or len(set(column)) * _MIN_ROWS_PER_KEY > columns.count:
        return False
    return permutation(column) != list(range(columns.count))


def _gain(roughness: dict[str, float], fields: dict[str, list[Any]], key: str) -> float:
    """About how many bits a row needs less when grouped."""
    others = [name for name in fields if name != key]
    ratios = [(roughness[name] + _TINY) / (_roughness(fields, name) + _TINY) for name in others]
    return sum(max(-_MAX_COLUMN_BITS, min(_MAX_COLUMN_BITS, math.log2(ratio))) for ratio in ratios)


def _roughness(fields: dict[str, list[Any]], key: str) -> float:
    """The sum of the steps from row to row: differences of numbers, else changes."""
    column = fields[key]
    if set(map(type, column)) <= _NUMBERS:
        steps = sum(map(abs, map(sub, column[1:], column)))
        return float(steps) if math.isfinite(steps) else 0.0
    return float(sum(map(ne, column[1:], column)))
