"""Sequences of small numbers: booleans, type tags, hits and misses.

CONST  symbol                   all the same
RUNS   first, size, planes      run lengths less one as varints; the symbols 0 and 1 take turns
BITS   planes                   eight symbols of 0 and 1 a byte, the first in the lowest bit
BYTES  planes                   one byte each
"""

from __future__ import annotations

import re
from typing import Final

from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.writer import Writer

CONST, RUNS, BITS, BYTES = range(4)

_RUN: Final = re.compile(rb"(?s)(.)\1*")
_TO_DIGITS: Final = bytes.maketrans(b"\0\1", b"01")
_FROM_DIGITS: Final = bytes.maketrans(b"01", b"\0\1")


def encode_symbols(out: Writer, symbols: bytes) -> None:
    """Write one or more symbols."""
    if symbols.count(symbols[0]) == len(symbols):
        out.uint(CONST)
        out.uint(symbols[0])
    elif max(symbols) > 1:
        out.uint(BYTES)
        out.planes.append(symbols)
    else:
        _encode_bits(out, symbols)


def _encode_bits(out: Writer, symbols: bytes) -> None:
    packed_size = (len(symbols) + 7) // 8
    changes = symbols.count(b"\0\1") + symbols.count(b"\1\0")
    if changes < packed_size:
        runs = Writer()
        for run in _RUN.finditer(symbols):
            runs.uint(run.end() - run.start() - 1)
        if len(runs.structure) <= packed_size:
            out.uint(RUNS)
            out.uint(symbols[0])
            out.uint(len(runs.structure))
            out.planes.append(bytes(runs.structure))
            return
    out.uint(BITS)
    out.planes.append(int(symbols[::-1].translate(_TO_DIGITS), 2).to_bytes(packed_size, "little"))


def decode_symbols(reader: Reader, count: int) -> bytes:
    """Read `count` (at least one) symbols."""
    reader.charge_cells(count)
    encoding = reader.bounded(BYTES, "a symbol encoding")
    if encoding == CONST:
        return bytes((reader.bounded(255, "a symbol"),)) * count
    if encoding == RUNS:
        return _decode_runs(reader, count)
    if encoding == BITS:
        packed = int.from_bytes(reader.plane((count + 7) // 8), "little") & ((1 << count) - 1)
        return f"{packed:0{count}b}".encode().translate(_FROM_DIGITS)[::-1]
    return reader.plane(count)


def _decode_runs(reader: Reader, count: int) -> bytes:
    symbol = reader.bounded(1, "the first symbol")
    lengths = reader.fork(reader.plane(reader.uint()))
    symbols = bytearray()
    while len(symbols) < count:
        length = lengths.bounded(count, "a run") + 1
        symbols += bytes((symbol,)) * length
        symbol ^= 1
    if len(symbols) > count:
        raise reader.fail("runs are longer than their column")
    lengths.finish()
    return bytes(symbols)
