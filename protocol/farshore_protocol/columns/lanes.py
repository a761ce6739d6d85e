"""Arithmetic on whole columns of 64-bit integers without NumPy: each value is a lane of one very long integer.

A column is the bytes of its values, eight a lane, little-endian, in two's complement. Python adds, subtracts and masks
long integers in C, so that a thousand lanes take a few microseconds. The highest bit of each lane is treated apart, so
that nothing is carried from lane to lane (Lamport, Multiple byte processing with full-word instructions, 1975).
All arithmetic is modulo 2^64.
"""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache
from struct import error, pack
from typing import Final

BYTES: Final = 8
_TOP: Final = b"\0\0\0\0\0\0\0\x80"
_ONE: Final = b"\1\0\0\0\0\0\0\0"


def from_list(values: list[int]) -> bytes:
    """The lanes of integers.

    Raises:
        OverflowError: one needs more than 64 bits.
    """
    try:
        return pack(f"<{len(values)}q", *values)  # half the time of an array
    except error as too_large:
        raise OverflowError(str(too_large)) from None


def to_list(raw: bytes) -> list[int]:
    """The integers of lanes."""
    lanes = array("q")
    lanes.frombytes(raw)
    if sys.byteorder == "big":
        lanes.byteswap()
    return lanes.tolist()


def at(raw: bytes, index: int) -> int:
    """One of the integers."""
    return int.from_bytes(raw[index * BYTES : (index + 1) * BYTES], "little", signed=True)


def are_equal(raw: bytes) -> bool:
    """Whether all lanes are the same."""
    return raw == raw[:BYTES] * (len(raw) // BYTES)


def repeated(number: int, count: int) -> bytes:
    """Lanes that all hold `number`."""
    return (number % (1 << 64)).to_bytes(BYTES, "little") * count


def plus(left: bytes, right: bytes) -> bytes:
    """The sums of lanes."""
    size = len(left)
    top, rest = _tops(size), _rests(size)
    one, other = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    return ((one & rest) + (other & rest) ^ ((one ^ other) & top)).to_bytes(size, "little")


def differences(raw: bytes) -> bytes | None:
    """Each lane less the one before it; None if one needs more than 64 bits."""
    size = len(raw) - BYTES
    top = _tops(size)
    after, before = int.from_bytes(raw[BYTES:], "little"), int.from_bytes(raw[:-BYTES], "little")
    unlike = (after ^ before) & top
    found = ((after | top) - (before & _rests(size))) ^ unlike ^ top
    if unlike & (after ^ found):
        return None  # numbers of unlike signs whose difference has not the sign of the first
    return found.to_bytes(size, "little")


def weighted(planes: list[tuple[bytes, int]]) -> bytes:
    """The sum of planes, one byte a lane, each times its weight; no lane's sum may reach 2^64."""
    size = len(planes[0][0]) * BYTES
    total = 0
    for plane, weight in planes:
        spread = bytearray(size)
        spread[::BYTES] = plane
        total += int.from_bytes(spread, "little") * weight
    return total.to_bytes(size, "little")


@lru_cache(maxsize=16)
def _tops(size: int) -> int:
    """The highest bit of every lane."""
    return int.from_bytes(_TOP * (size // BYTES), "little")


@lru_cache(maxsize=16)
def _rests(size: int) -> int:
    """All bits but the highest of every lane."""
    return _tops(size) - int.from_bytes(_ONE * (size // BYTES), "little")


class Integers:
    """A column of 64-bit integers as a list and as lanes; each is made when it is first asked for."""

    __slots__ = ("_lanes", "_values", "count")

    def __init__(self, values: list[int] | None, raw: bytes = b"") -> None:
        self.count = len(raw) // BYTES if values is None else len(values)
        self._values = values
        self._lanes = raw

    @classmethod
    def from_lanes(cls, raw: bytes) -> Integers:
        """The column of those lanes."""
        return cls(None, raw)

    @property
    def values(self) -> list[int]:
        """The integers."""
        if self._values is None:
            self._values = to_list(self._lanes)
        return self._values

    @property
    def lanes(self) -> bytes:
        """Their lanes."""
        if not self._lanes:
            self._lanes = from_list(self.values)
        return self._lanes
