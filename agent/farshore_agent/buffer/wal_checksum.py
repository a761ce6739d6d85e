"""The checksum of SQLite's write-ahead log: https://www.sqlite.org/fileformat2.html#checksum_algorithm."""

from __future__ import annotations

import struct

Sums = tuple[int, int]


def checksum(raw: bytes, sums: Sums, order: str) -> Sums:
    """SQLite's running checksum over pairs of 32-bit words."""
    first, second = sums
    words = struct.unpack(f"{order}{len(raw) // 4}I", raw)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
