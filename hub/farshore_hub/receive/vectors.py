"""Decoding in NumPy: whole columns of numbers as arrays, which Arrow takes over without copying.

Where a number might need more than 64 bits, which no encoder writes, Python's own integers do the work.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from farshore_protocol.columns.vectors import LISTS, Vector

Array: TypeAlias = npt.NDArray[Any]

_SAFE: Final = 1 << 62
_LANE_BYTES: Final = 8
_FLOATS: Final = {"f": "<f4", "d": "<f8"}


class Arrays:
    """Vectors that are arrays of int64 or float64; a `farshore_protocol.columns.vectors.Vectors`."""

    def unsigned(self, raw: bytes, count: int) -> Vector:
        """As in `Vectors`."""
        planes = _planes(raw, count)
        return LISTS.unsigned(raw, count) if len(planes) == _LANE_BYTES else _joined(planes, 0)

    def signed(self, raw: bytes, count: int) -> Vector:
        """As in `Vectors`."""
        planes = _planes(raw, count).copy()
        for at in range(1, len(planes)):
            planes[at] ^= _signs(planes[at - 1])
        return _joined(planes, _signs(planes[-1]))

    def floats(self, code: str, raw: bytes) -> Vector:
        """As in `Vectors`."""
        return np.frombuffer(raw, _FLOATS[code]).astype(np.float64)

    def repeated(self, value: int, count: int) -> Vector:
        """As in `Vectors`."""
        return np.full(count, value) if _is_safe(value) else LISTS.repeated(value, count)

    def progression(self, first: int, step: int, count: int) -> Vector:
        """As in `Vectors`."""
        if _is_safe(first, first + step * count):
            return np.arange(first, first + step * count, step)
        return LISTS.progression(first, step, count)

    def scaled(self, values: Vector, factor: int, offset: int) -> Vector:
        """As in `Vectors`."""
        low, high = _bounds(values)
        if not isinstance(values, list) and _is_safe(factor, low * factor, high * factor, offset):
            return values * factor + offset
        return LISTS.scaled(self.plain(values), factor, offset)

    def summed(self, first: int, steps: Vector) -> Vector:
        """As in `Vectors`."""
        low, high = _bounds(steps)
        if not isinstance(steps, list) and _is_safe(first, low * len(steps), high * len(steps)):
            sums = np.empty(len(steps) + 1, np.int64)
            sums[0] = first
            np.cumsum(steps, out=sums[1:])
            sums[1:] += first
            return sums
        return LISTS.summed(first, self.plain(steps))

    def quotients(self, values: Vector, scale: float) -> Vector:
        """As in `Vectors`."""
        return LISTS.quotients(values, scale) if isinstance(values, list) else values / scale

    def taken(self, entries: Vector, indices: Vector) -> Vector | None:
        """As in `Vectors`."""
        if isinstance(entries, list) or isinstance(indices, list):
            return LISTS.taken(self.plain(entries), self.plain(indices))
        low, high = _bounds(indices)
        return entries[indices] if low >= 0 and high < len(entries) else None

    def rows(self, order: list[int]) -> tuple[Array, Any]:
        """As in `Vectors`."""
        return np.array(order), LISTS.rows(order)

    def reordered(self, values: Vector, rows: tuple[Array, Any]) -> Vector:
        """As in `Vectors`."""
        return LISTS.reordered(values, rows[1]) if isinstance(values, list) else values[rows[0]]

    def plain(self, values: Vector) -> list[Any]:
        """As in `Vectors`."""
        return values if isinstance(values, list) else values.tolist()


ARRAYS: Final = Arrays()


def _planes(raw: bytes, count: int) -> Array:
    return np.frombuffer(raw, np.uint8).reshape(-1, count)


def _signs(plane: Array) -> Array:
    """0xFF for each byte whose highest bit is set, else 0."""
    return (plane.view(np.int8) >> 7).view(np.uint8)


def _joined(planes: Array, fill: Array | int) -> Array:
    """Integers from their lowest bytes; `fill` is what stands in the others."""
    width, count = planes.shape
    lanes = np.empty((count, _LANE_BYTES), np.uint8)
    lanes[:, :width] = planes.T
    lanes[:, width:] = fill if isinstance(fill, int) else fill[:, np.newaxis]
    return lanes.reshape(-1).view("<i8").astype(np.int64, copy=False)


def _bounds(values: Vector) -> tuple[int, int]:
    return (min(values), max(values)) if isinstance(values, list) else (int(values.min()), int(values.max()))


def _is_safe(*numbers: int) -> bool:
    """Whether sums of two of them fit 64 bits."""
    return all(-_SAFE <= number <= _SAFE for number in numbers)
