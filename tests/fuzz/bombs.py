"""Inputs made to take much memory, depth or time. Each is small enough to be sent, and none is what anybody means."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final

import msgspec
import zstandard

from farshore_protocol import limits, wire
from farshore_protocol.columns import VERSION, Effort
from farshore_protocol.columns.plan import Packing
from farshore_protocol.columns.sections import Sections, pack, varint
from farshore_protocol.messages import Account, Answer, Claim, Statement
from tests.protocol import peers

MIB: Final = 2**20
BODY: Final = 32 * MIB
"""The largest body that the agent's door takes."""

Make = Callable[[], bytes]


def _fill(unit: bytes, size: int = BODY, start: bytes = b"", end: bytes = b"") -> bytes:
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


def _lines(line: bytes, size: int = BODY) -> bytes:
    return _fill(line + b"\n", size)


def _record(items: bytes) -> bytes:
    """One record of a megabyte: a list of many items."""
    return _fill(items + b",", limits.MAX_RECORD_BYTES, b'{"a":[', items + b"]}")


def _nested(opening: bytes, closing: bytes, count: int, inner: bytes = b"1") -> bytes:
    return opening * count + inner + closing * count


JSON_LINES: Final[dict[str, Make]] = {
    "lists of numbers": lambda: _lines(_record(b"1")),
    "lists of short decimals": lambda: _lines(_record(b".5".replace(b".", b"0."))),
    "lists of short texts": lambda: _lines(_record(b'"a"')),
    "lists of different texts": lambda: _lines(b'{"a":[' + b",".join(b'"%x"' % at for at in range(120_000)) + b"]}"),
    "empty lists": lambda: _lines(_record(b"[]"), 2 * MIB),
    "empty lists, more": lambda: _lines(_record(b"[]")),
    "many records of one field": lambda: _lines(b'{"a":1}'),
    "all the records there may be": lambda: _lines(b'{"a":1,"b":"x","c":0.5}', 100_000 * 24),
    "wide records": lambda: _lines(b"{" + b",".join(b'"k%d":0.5' % at for at in range(4_000)) + b"}"),
    "a key many times": lambda: _lines(b"{" + b",".join([b'"k":0.5'] * 100_000) + b"}"),
    "blank lines": lambda: _lines(b"", 100_000),
    "more blank lines": lambda: _lines(b""),
    "one long line": lambda: _fill(b"x"),
    "text that is no JSON": lambda: _lines(b"x" * 16_000),
    "bytes that are no text": lambda: _lines(b"\xff" * 16_000),
    "short lines of no text": lambda: _lines(b"\xff" * 300),
    "deep": lambda: _lines(_nested(b"[", b"]", 100_000)),
    "deep objects": lambda: _lines(_nested(b'{"a":', b"}", 100_000)),
    "long integers": lambda: _lines(b'{"a":' + b"9" * 4_000 + b"}"),
    "very long integers": lambda: _lines(b'{"a":' + b"9" * 1_000_000 + b"}"),
    "a NaN in every line": lambda: _lines(b'{"a":NaN,"b":[1,2,3,4]}', 100_000 * 24),
    "long records with a NaN": lambda: _lines(_record(b"0.5").replace(b"[0.5", b"[NaN", 1)),
}

JSON_ARRAYS: Final[dict[str, Make]] = {
    "numbers": lambda: _fill(b"1,", start=b"[", end=b"1]"),
    "numbers after a NaN": lambda: _fill(b"0.5,", start=b"[NaN,", end=b"1]"),
    "texts after a NaN": lambda: _fill(b'"ab",', start=b"[NaN,", end=b"1]"),
    "records": lambda: _fill(b'{"a":1},', start=b"[", end=b"{}]"),
    "records after a NaN": lambda: _fill(b'{"a":1},', 8 * MIB, b"[NaN,", b"{}]"),
    "lists in a record": lambda: _fill(_record(b"0.5") + b",", start=b"[", end=b"{}]"),
    "never closed": lambda: _fill(b"1,", start=b"["),
    "deep": lambda: _nested(b"[", b"]", 1_000_000),
    "one record that is too long": lambda: _fill(b"1,", start=b'{"a":[', end=b"1]}"),
}

CSV: Final[dict[str, Make]] = {
    "a quote that is never closed": lambda: b'a,b\n"' + _fill(b"x,y\n", 2 * MIB),
    "quotes that open in every line": lambda: b"a,b\n" + _fill(b'a","\n', MIB // 4),
    "quotes in pairs": lambda: b"a,b\n" + _fill(b'"""\n', MIB // 4),
    "one quote a line": lambda: b"a,b\n" + _fill(b'"\n', MIB // 4),
    "blank lines": lambda: _fill(b"\n", MIB // 4),
    "empty cells": lambda: b"a,b\n" + _fill(b",", 8 * MIB) + b"\n",
    "rows of empty cells": lambda: (
        b",".join(b"c%d" % at for at in range(4_000)) + b"\n" + _fill(b"," * 3_999 + b"\n", MIB)
    ),
    "a header of many columns": lambda: b",".join(b"c%d" % at for at in range(200_000)) + b"\n",
    "a line without end": lambda: b"a,b\n" + _fill(b"x", 8 * MIB),
    "long numbers": lambda: b"a\n" + _fill(b"9" * 60_000 + b"\n", 4 * MIB),
}

TEXT: Final[dict[str, Make]] = {
    "blank lines": lambda: _fill(b"\n", MIB // 4),
    "a line without end": lambda: _fill(b"x", 8 * MIB),
    "text that is no JSON": lambda: _lines(b"x" * 16_000),
    "bytes that are no text": lambda: _fill(b"\xff" * 16_000 + b"\n", 4 * MIB),
}

GZIP: Final[dict[str, Make]] = {
    "zeros": lambda: gzip.compress(bytes(500 * MIB), 9),
    "many members": lambda: gzip.compress(b"") * 20_000,
    "just over": lambda: gzip.compress(bytes(BODY + 1)),
    "just within": lambda: gzip.compress(bytes(BODY)),
}

ZSTD: Final[dict[str, Make]] = {
    "zeros": lambda: zstandard.compress(bytes(500 * MIB)),
    "just over": lambda: zstandard.compress(bytes(BODY + 1)),
    "just within": lambda: zstandard.compress(bytes(BODY)),
    "a large window": lambda: zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    ).compress(bytes(64 * MIB)),
    "of no told size": lambda: _streamed_zstd(64 * MIB),
}


def _streamed_zstd(size: int) -> bytes:
    made = zstandard.ZstdCompressor().compressobj()
    return b"".join(made.compress(bytes(MIB)) for _ in range(size // MIB)) + made.flush()


_POST: Final = b"POST /v1/streams/a HTTP/1.1\r\n"
REQUESTS: Final[dict[str, Make]] = {
    "headers": lambda: _POST + _fill(b"a: b\r\n", 8 * MIB),
    "a header without end": lambda: _POST + _fill(b"x", 64 * MIB, b"a: "),
    "a target without end": lambda: _fill(b"x", 64 * MIB, b"GET /"),
    "a body too long": lambda: _POST + b"content-length: 99999999999\r\n\r\n" + bytes(MIB),
    "a chunked body without end": lambda: (
        _POST + b"transfer-encoding: chunked\r\n\r\n" + _fill(b"1\r\nx\r\n", 64 * MIB)
    ),
    "chunks of long extensions": lambda: _POST + b"transfer-encoding: chunked\r\n\r\n1;" + _fill(b"x", 64 * MIB),
    "trailers": lambda: _POST + b"transfer-encoding: chunked\r\n\r\n0\r\n" + _fill(b"a: b\r\n", 32 * MIB),
    "a trailer without end": lambda: _POST + b"transfer-encoding: chunked\r\n\r\n0\r\na: " + _fill(b"x", 64 * MIB),
    "requests without pause": lambda: _fill(b"GET / HTTP/1.1\r\n\r\n", 16 * MIB),
}

ANSWERS_HTTP: Final[dict[str, Make]] = {
    "headers": lambda: b"HTTP/1.1 200 OK\r\n" + _fill(b"a: b\r\n", 8 * MIB),
    "a header without end": lambda: b"HTTP/1.1 200 OK\r\na: " + _fill(b"x", 64 * MIB),
    "a body without end": lambda: b"HTTP/1.1 200 OK\r\n\r\n" + bytes(64 * MIB),
    "a trailer without end": lambda: (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: " + _fill(b"x", 64 * MIB)
    ),
    "many trailers": lambda: (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
        + b"".join(b"a%d: b\r\n" % at for at in range(1_000_000))
    ),
    "many announcements": lambda: _fill(b"HTTP/1.1 100 Continue\r\n\r\n", 16 * MIB),
}


def body_of(structure: bytes, text: bytes = b"", planes: bytes = b"", *, codec: int = 1) -> bytes:
    """A batch's body as an attacker writes it, compressed so that it can be sent."""
    packed, _ = pack(Sections(structure, text, planes), Effort.FAST, b"", Packing(codec, None))
    return bytes((VERSION,)) + packed


def numbers(*values: int) -> bytes:
    """Numbers of the structure."""
    return b"".join(map(varint, values))


_ROWS: Final = limits.MAX_BATCH_RECORDS
_KEYS: Final = b"".join(b"%05d" % at for at in range(60_000))


def _columns(count: int, column: bytes, text: bytes = b"", planes: bytes = b"", rows: int = _ROWS) -> bytes:
    """A batch of `count` columns that are all written alike."""
    return body_of(
        numbers(rows, 0, count) + numbers(5) * count + column * count, _KEYS[: 5 * count] + text * count, planes
    )


_MERSENNE: Final = 2**61 - 1
"""Python's hash of an integer is its remainder by this."""

BODIES: Final[dict[str, Make]] = {
    "nothing but zeros, zstd": lambda: body_of(b"\0", bytes(limits.MAX_BODY_BYTES - 100)),
    "nothing but zeros, LZMA": lambda: body_of(b"\0", bytes(limits.MAX_BODY_BYTES - 100), codec=3),
    "zeros over the bound": lambda: body_of(b"\0", bytes(2 * limits.MAX_BODY_BYTES)),
    "progressions": lambda: _columns(150, numbers(2, 3, 0, 2**40)),
    "constants": lambda: _columns(150, numbers(2, 2, 2)),
    "digits": lambda: _columns(150, numbers(4, 5, 3, 2**50, 2)),
    "padded numbers": lambda: _columns(150, numbers(4, 6, 18, 3, 0, 2)),
    "times": lambda: _columns(150, numbers(4, 7, 0, 0, 6, 1, 3, 0, 2)),
    "floats of a progression": lambda: _columns(150, numbers(3, 3, 1, 0, 1, 3, 0, 2)),
    "empty mappings": lambda: _columns(150, numbers(5, 0)),
    "mappings of a null": lambda: _columns(70, numbers(5, 1, 1, 0), text=b"k"),
    "empty lists": lambda: _columns(150, numbers(6, 2, 0)),
    "lists of a null": lambda: _columns(70, numbers(6, 2, 2, 0)),
    "lists in lists": lambda: body_of(numbers(_ROWS, 0, 1, 1) + numbers(6, 2, 2) * 50 + numbers(0), b"k"),
    "constant texts": lambda: _columns(150, numbers(4, 2, 1000), text=b"x" * 1000),
    "affixed texts": lambda: body_of(
        numbers(_ROWS, 0, 1, 1, 4) + numbers(9, 100, 100) * 10 + numbers(2, 0), b"k" + b"x" * 2_000
    ),
    "blank lines": lambda: body_of(numbers(_ROWS, 0, 1, 1, 4, 10, 30 * MIB), b"k" + b"\n" * (30 * MIB)),
    "short lines": lambda: body_of(numbers(_ROWS, 0, 1, 1, 4, 10, 30 * MIB), b"k" + b"ab\n" * (10 * MIB)),
    "hexadecimal": lambda: body_of(numbers(30_000, 0, 1, 1, 4, 8, 2_000), b"k", bytes(30 * MIB)),
    "integers that hash alike, as a key": lambda: body_of(
        numbers(_ROWS, 1, 2, 1, 1, 2, 8, _MERSENNE, 0, 3, 0, 2, 2, 3, 0, 4), b"kl"
    ),
    "integers that hash alike, predicting": lambda: body_of(
        numbers(_ROWS, 0, 2, 1, 1, 2, 8, _MERSENNE, 0, 3, 0, 2, 2, 1, 0, 0, _ROWS, 2, 2), b"kl"
    ),
    "large integers": lambda: body_of(numbers(60, 0, 1, 1, 7, 2, 2 * 500_000), b"k" + b"\x7f" * 30_000_000),
    "scaled integers inside one another": lambda: _columns(
        20, numbers(2) + numbers(8, 2**69, 2**69) * 30 + numbers(3, 0, 2)
    ),
    "columns": lambda: body_of(numbers(1, 0, 60_000) + numbers(5) * 60_000 + numbers(0) * 60_000, _KEYS),
    "columns of one leaf": lambda: body_of(
        numbers(1_000, 0, 9_000) + numbers(5) * 9_000 + numbers(4, 2, 9) + numbers(4, 0, 0) * 8_999,
        _KEYS[:45_000] + b"x" * 9,
    ),
    "masks": lambda: _columns(100, numbers(18, 0, 9, 0, 3), planes=bytes(_ROWS) * 100),
    "split texts": lambda: body_of(numbers(_ROWS, 0, 1, 1, 4, 4, 1, 60) + numbers(5, 3, 0, 2) * 61, b"k"),
}


def _held(count: int, step: int = 3) -> list[int]:
    return [bound for at in range(300, 300 + step * count, step) for bound in (at, at + 1)]


def statement_of(claims: int, ranges: int) -> bytes:
    """A statement as large as a parcel may be."""
    claim = Claim(peers.INCARNATION, "boiler", 2**40, _held(ranges))
    return wire.pack(Statement(peers.SITE, peers.INCARNATION, 1, 1, [claim] * claims, []))


def answer_of(accounts: int, ranges: int) -> bytes:
    """An answer as large as one may be."""
    account = Account(peers.INCARNATION, "boiler", _held(ranges), [])
    return wire.pack(Answer(b"hub-name", b"hub-life", 1, peers.SITE, peers.INCARNATION, 1, [account] * accounts))


STATEMENTS: Final[dict[str, Make]] = {
    "ranges": lambda: statement_of(640, 4_000),
    "claims": lambda: statement_of(8_192, 100),
    "claims without end": lambda: b"\x98\xa6ship-1\xc4\x08AAAAAAAA\x01\x01\xdd\xff\xff\xff\xff" + bytes(1_000),
    "deep": lambda: b"\x91" * 1_000_000,
}

ANSWERS: Final[dict[str, Make]] = {
    "ranges": lambda: answer_of(330, 4_000),
    "accounts": lambda: answer_of(13_000, 100),
    "ids": lambda: msgspec.msgpack.encode(
        [b"hub-name", b"hub-life", 1, "a", b"12345678", 1, [], [b"12345678"] * 830_000]
    ),
}

PARCELS: Final[dict[str, Make]] = {
    "batches without end": lambda: b"FSP\x01\x95\xa1a\xc4\x00\xc4\x00\x90\xdd\xff\xff\xff\xff" + bytes(1_000),
    "a statement without end": lambda: b"FSP\x01\x95\xa1a\xc6\xff\xff\xff\xff" + bytes(1_000),
    "deep": lambda: b"FSP\x01" + b"\x91" * 1_000_000,
    "batches": lambda: b"FSP\x01\x95\xa1a\xc4\x00\xc4\x00\x90\xdd\x00\xff\xff\xff" + b"\xc4\x00" * (8 * MIB - 100),
    "unknown fields": lambda: (
        b"FSP\x01\xdd\x00\xff\xff\xff\xa1a\xc4\x00\xc4\x00\x90\x90" + b"\x93\x01\x01\x01" * 4_000_000
    ),
}

ENROLMENTS: Final[dict[str, Make]] = {
    "deep": lambda: b"\x91" * 32_000,
    "large": lambda: b"\xc6\x7f\xff\xff\xff" + bytes(32_000),
}
TOKENS: Final[dict[str, Make]] = {"long": lambda: b"fs1." + b"A" * 20 * MIB}
REQUESTS_TO_SIGN: Final[dict[str, Make]] = {
    "long": lambda: _fill(
        b"A", 8_192, b"-----BEGIN CERTIFICATE REQUEST-----\n", b"\n-----END CERTIFICATE REQUEST-----\n"
    ),
}

TOML: Final[dict[str, Make]] = {
    "deep": lambda: b"a = " + _nested(b"[", b"]", 400_000),
    "deep tables": lambda: b"a = " + _nested(b"{a = ", b"}", 100_000),
    "a long key": lambda: b".".join([b"a"] * 2_000) + b" = 1",
    "a long number": lambda: b"a = " + b"9" * 500_000,
    "a long hexadecimal number": lambda: b"max_streams = 0x" + b"f" * 500_000,
    "tables": lambda: b"".join(b"[streams.s%d]\n" % at for at in range(8_000)),
    "unknown keys": lambda: b"".join(b"k%d = 1\n" % at for at in range(1_000)),
    "a large file": lambda: b"#" * 64 * MIB,
    "one long text": lambda: b'state_dir = "' + b"x" * 900_000 + b'"',
}

DOCUMENTS: Final[dict[str, Make]] = {
    "deep": lambda: b'{"x":' + _nested(b"[", b"]", 100_000) + b"}",
    "large": lambda: _fill(b"1,", 128 * MIB, b'{"x":[', b"1]}"),
}

BOMBS: Final[dict[str, dict[str, Make]]] = {
    "ndjson": JSON_LINES,
    "json_array": JSON_ARRAYS,
    "csv_file": CSV,
    "text_file": TEXT,
    "gzip_body": GZIP,
    "zstd_body": ZSTD,
    "http_request": REQUESTS,
    "http_answer": ANSWERS_HTTP,
    "batch_body": BODIES,
    "parcel": PARCELS,
    "statement": STATEMENTS,
    "answer": ANSWERS,
    "membership": ENROLMENTS,
    "join_token": TOKENS,
    "certificate_request": REQUESTS_TO_SIGN,
    "agent_settings": TOML,
    "hub_settings": TOML,
    "identity_file": DOCUMENTS,
    "status_file": DOCUMENTS,
}
"""For each of `decoders` what it is fed with, by what it is."""
