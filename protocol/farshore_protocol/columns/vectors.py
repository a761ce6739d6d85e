"""What a decoder does with whole columns of numbers. `Lists` does it in Python alone; who has NumPy may do it in that.

A vector is a list of numbers, or whatever stands for one in another implementation: only its own methods look inside.
All give the same numbers, to the bit.
"""

from __future__ import annotations

from itertools import accumulate
from operator import itemgetter
from typing import Any, Final, Protocol, TypeAlias

from farshore_protocol.columns import planes

Vector: TypeAlias = Any
Rows: TypeAlias = Any


class Vectors(Protocol):
    """Whole columns at once. Integers in and out are of any size; raw bytes are planes, see `planes`."""

    def unsigned(self, raw: bytes, count: int) -> Vector:
        """Numbers from their planes, which fill `raw`."""
        ...

    def signed(self, raw: bytes, count: int) -> Vector:
        """Numbers from their folded planes, which fill `raw`."""
        ...

    def floats(self, code: str, raw: bytes) -> Vector:
        """Little-endian floats of the array type code "f" or "d"."""
        ...

    def repeated(self, value: int, count: int) -> Vector:
        """The same integer so many times."""
        ...

    def progression(self, first: int, step: int, count: int) -> Vector:
        """`first`, `first` + `step` and so on."""
        ...

    def scaled(self, values: Vector, factor: int, offset: int) -> Vector:
        """Each integer times `factor`, plus `offset`."""
        ...

    def summed(self, first: int, steps: Vector) -> Vector:
        """`first`, and the sums after each of the integers in `steps`."""
        ...

    def quotients(self, values: Vector, scale: float) -> Vector:
        """Each integer over `scale`, as floats."""
        ...

    def taken(self, entries: Vector, indices: Vector) -> Vector | None:
        """The entry at each index; None if one is outside. Entries that are texts come as a list, and so they go."""
        ...

    def rows(self, order: list[int]) -> Rows:
        """At least two rows, as `reordered` takes them."""
        ...

    def reordered(self, values: Vector, rows: Rows) -> Vector:
        """The values at those rows."""
        ...

    def plain(self, values: Vector) -> list[Any]:
        """The vector as a list of Python's own numbers."""
        ...


class Lists:
    """Vectors that are lists; a `Vectors`."""

    def unsigned(self, raw: bytes, count: int) -> list[int]:
        """As in `Vectors`."""
        return planes.unpack_unsigned(raw, count)

    def signed(self, raw: bytes, count: int) -> list[int]:
        """As in `Vectors`."""
        return planes.unpack_signed(raw, count)

    def floats(self, code: str, raw: bytes) -> list[float]:
        """As in `Vectors`."""
        return planes.floats_to_list(code, raw)

    def repeated(self, value: int, count: int) -> list[int]:
        """As in `Vectors`."""
        return [value] * count

    def progression(self, first: int, step: int, count: int) -> list[int]:
        """As in `Vectors`."""
        return list(range(first, first + step * count, step))

    def scaled(self, values: list[int], factor: int, offset: int) -> list[int]:
        """As in `Vectors`."""
        if factor != 1:
            return [value * factor + offset for value in values]
        return [value + offset for value in values] if offset else values

    def summed(self, first: int, steps: list[int]) -> list[int]:
        """As in `Vectors`."""
        return list(accumulate(steps, initial=first))

    def quotients(self, values: list[int], scale: float) -> list[float]:
        """As in `Vectors`."""
        return [value / scale for value in values]

    def taken(self, entries: list[Any], indices: list[int]) -> list[Any] | None:
        """As in `Vectors`."""
        if min(indices) < 0 or max(indices) >= len(entries):
            return None
        return [entries[index] for index in indices]

    def rows(self, order: list[int]) -> itemgetter[Any]:
        """As in `Vectors`."""
        return itemgetter(*order)

    def reordered(self, values: list[Any], rows: itemgetter[Any]) -> list[Any]:
        """As in `Vectors`."""
        return list(rows(values))

    def plain(self, values: list[Any]) -> list[Any]:
        """As in `Vectors`."""
        return values


LISTS: Final = Lists()
