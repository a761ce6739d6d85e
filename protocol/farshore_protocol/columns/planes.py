"""Integers as byte planes: all lowest bytes, then all second bytes, and so on; what varies little stands together.

Signed integers are *folded*: a byte is XORed with the sign of the byte below it, so that planes above the largest
magnitude are all zero and can be left out. Everything here runs in C: slices, `array`, `translate` and one big XOR.
"""

from __future__ import annotations

import sys
from array import array
from itertools import pairwise
from struct import error, pack
from typing import Final

from farshore_protocol.columns.lanes import BYTES as LANE_BYTES

_UNSIGNED: Final = {1: "B", 2: "H", 3: "I", 4: "I", 5: "Q", 6: "Q", 7: "Q", 8: "Q"}
_SIGNED: Final = {1: "b", 2: "h", 3: "i", 4: "i", 5: "q", 6: "q", 7: "q", 8: "q"}
_SIGN: Final = bytes(128) + b"\xff" * 128
"""Maps a byte to 0xFF if its highest bit is set, else to 0."""


def split(raw: bytes, size: int) -> list[bytes]:
    """The `size` planes of little-endian items of `size` bytes, lowest first."""
    return [raw] if size == 1 else [raw[index::size] for index in range(size)]


def interleave(planes: list[bytes], size: int) -> bytes:
    """Little-endian items of `size` bytes from their planes; absent planes are zero."""
    if size == 1:
        return planes[0]
    items = bytearray(size * len(planes[0]))
    for index, plane in enumerate(planes):
        items[index::size] = plane
    return bytes(items)


def to_bytes(code: str, values: list[int]) -> bytes:
    """`values` as little-endian items of an array type code.

    Raises:
        OverflowError: a value does not fit.
    """
    try:
        return pack(f"<{len(values)}{code}", *values)
    except error as too_large:
        raise OverflowError(str(too_large)) from None


def to_list(code: str, raw: bytes) -> list[int]:
    """The inverse of `to_bytes`."""
    items = array(code)
    items.frombytes(raw)
    if sys.byteorder == "big":
        items.byteswap()
    return items.tolist()


def floats_to_bytes(code: str, values: list[float]) -> bytes:
    """`values` as little-endian floats of the array type code "f" or "d".

    Raises:
        OverflowError: a value does not fit 32 bits.
    """
    return pack(f"<{len(values)}{code}", *values)


def floats_to_list(code: str, raw: bytes) -> list[float]:
    """The inverse of `floats_to_bytes`."""
    items: array[float] = array(code)
    items.frombytes(raw)
    if sys.byteorder == "big":
        items.byteswap()
    return items.tolist()


def pack_unsigned(lanes: bytes) -> list[bytes]:
    """The planes of unsigned 64-bit lanes, without the highest ones that are all zero."""
    planes = split(lanes, LANE_BYTES)
    while len(planes) > 1 and planes[-1].count(0) == len(planes[-1]):
        planes.pop()
    return planes


def unpack_unsigned(raw: bytes, count: int) -> list[int]:
    """Numbers from their planes, which fill `raw`."""
    width = len(raw) // count
    code = _UNSIGNED[width]
    return to_list(code, interleave(_cut(raw, count), array(code).itemsize))


def pack_signed(lanes: bytes) -> list[bytes]:
    """The folded planes of signed 64-bit lanes, without the highest ones that are all zero."""
    planes = split(lanes, LANE_BYTES)
    while len(planes) > 1 and planes[-1] == planes[-2].translate(_SIGN):
        planes.pop()
    return [planes[0]] + [_xor(above, below.translate(_SIGN)) for below, above in pairwise(planes)]


def unpack_signed(raw: bytes, count: int) -> list[int]:
    """Numbers from their folded planes, which fill `raw`."""
    width = len(raw) // count
    code = _SIGNED[width]
    size = array(code).itemsize
    planes = _cut(raw, count)
    for index in range(1, width):
        planes[index] = _xor(planes[index], planes[index - 1].translate(_SIGN))
    sign = planes[-1].translate(_SIGN)
    return to_list(code, interleave(planes + [sign] * (size - width), size))


def _cut(raw: bytes, count: int) -> list[bytes]:
    return [raw[start : start + count] for start in range(0, len(raw), count)]


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "little") ^ int.from_bytes(right, "little")).to_bytes(len(left), "little")
