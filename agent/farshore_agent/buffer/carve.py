"""Rows out of pages, without the trees that lead to them: for what a damaged tree hides.

A page of a table's leaves or of an index tells by itself where its rows are. Rows of free pages come along too, so
whoever takes a carved row has to know that it belongs. Format: https://www.sqlite.org/fileformat2.html#b_tree_pages
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from farshore_agent.buffer.connection import PAGE_BYTES, Value
from farshore_agent.buffer.view import Pages

_INDEX_INTERIOR: Final = 2
_INDEX_LEAF: Final = 10
_TABLE_LEAF: Final = 13
_HEADER_BYTES: Final = {_INDEX_INTERIOR: 12, _INDEX_LEAF: 8, _TABLE_LEAF: 8}
_MAX_LOCAL: Final = {
    _TABLE_LEAF: PAGE_BYTES - 35,
    _INDEX_LEAF: (PAGE_BYTES - 12) * 64 // 255 - 23,
    _INDEX_INTERIOR: (PAGE_BYTES - 12) * 64 // 255 - 23,
}
_MIN_LOCAL: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
_OVERFLOW_BYTES: Final = PAGE_BYTES - 4
_MAX_ROW_BYTES: Final = 64 * 1024 * 1024
_INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FIRST_BLOB: Final = 12
_ZERO: Final = 8
_ONE: Final = 9
_SEVEN_BITS: Final = 0x7F


class _NoRow(Exception):
    """The bytes are not what a row is made of."""


@dataclass(frozen=True, slots=True)
class CarvedRow:
    """A row; `rowid` is None in an index and in a table without rowid."""

    rowid: int | None
    values: tuple[Value, ...]


def carve(pages: Pages) -> Iterator[CarvedRow]:
    """Every row that can be read off a page; those that cannot are passed over."""
    for page in pages:
        kind = page[0]
        if kind in _HEADER_BYTES:
            yield from _rows(pages, page, kind)


def _rows(pages: Pages, page: bytes, kind: int) -> Iterator[CarvedRow]:
    header = _HEADER_BYTES[kind]
    count = struct.unpack_from(">H", page, 3)[0]
    if header + 2 * count > PAGE_BYTES:
        return
    for at in struct.unpack_from(f">{count}H", page, header):
        try:
            yield _row(pages, page, at, kind)
        except (_NoRow, IndexError, struct.error, UnicodeDecodeError):
            continue


def _row(pages: Pages, page: bytes, at: int, kind: int) -> CarvedRow:
    if kind == _INDEX_INTERIOR:
        at += 4
    size, at = _varint(page, at)
    rowid = None
    if kind == _TABLE_LEAF:
        rowid, at = _varint(page, at)
    return CarvedRow(rowid, _values(_payload(pages, page, at, size, kind)))


def _payload(pages: Pages, page: bytes, at: int, size: int, kind: int) -> bytes:
    if size > _MAX_ROW_BYTES:
        raise _NoRow
    local = size
    if size > _MAX_LOCAL[kind]:
        local = _MIN_LOCAL + (size - _MIN_LOCAL) % _OVERFLOW_BYTES
        local = local if local <= _MAX_LOCAL[kind] else _MIN_LOCAL
    payload = bytearray(page[at : at + local])
    if local < size:
        number = struct.unpack_from(">I", page, at + local)[0]
        while len(payload) < size:
            if not 1 < number <= pages.count:
                raise _NoRow
            more = pages[number]
            payload += more[4 : 4 + size - len(payload)]
            number = struct.unpack_from(">I", more)[0]
    if len(payload) != size:
        raise _NoRow
    return bytes(payload)


def _values(payload: bytes) -> tuple[Value, ...]:
    size, at = _varint(payload, 0)
    types = []
    while at < size:
        kind, at = _varint(payload, at)
        types.append(kind)
    values = []
    for kind in types:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise _NoRow
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (_ZERO, _ONE):
        return kind - _ZERO, at
    if kind in _INTEGER_BYTES:
        end = at + _INTEGER_BYTES[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind < _FIRST_BLOB:
        raise _NoRow
    end = at + (kind - _FIRST_BLOB) // 2
    raw = payload[at:end]
    return (raw.decode() if kind % 2 else raw), end


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, and where it ends."""
    value = 0
    for taken in range(8):
        byte = raw[at + taken]
        value = value << 7 | byte & _SEVEN_BITS
        if byte <= _SEVEN_BITS:
            return value, at + taken + 1
    return value << 8 | raw[at + 8], at + 9
