"""The body of batches: columns, their sections, dictionaries, and the chunks of the agent's tail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from farshore_agent.buffer import chunk
from farshore_protocol.columns import (
    VERSION,
    Columns,
    DecodeError,
    DecodeLimits,
    Dictionary,
    Effort,
    codec,
    decode,
    encode,
)
from farshore_protocol.columns.plan import Choice, Packing
from farshore_protocol.columns.sections import Sections, pack
from tests.fuzz import real
from tests.fuzz.target import target
from tests.protocol.columns.tagged import keys_sorted, to_json

LIMITS = DecodeLimits(max_records=2_000, max_body_bytes=1_000_000, max_cells=200_000, max_text_chars=2_000_000)
_CUT = b"\xff\xfe"
"""Parts the streams of an input, so that a fuzzer need not guess sizes before them."""

NESTED: list[dict[str, Any]] = [
    {"at": f"2026-11-23T08:30:{n:02d}Z", "n": n, "tags": {"a": [n, n + 1], "b": None}, "mixed": n if n % 2 else "x"}
    for n in range(12)
]
BIG: list[dict[str, Any]] = [{"big": 2**70 + n, "raw": bytes([n]), "f": n / 10, "ip": f"10.0.0.{n}"} for n in range(9)]


def bodies() -> Iterator[bytes]:
    """Bodies as agents make them, with every effort."""
    for given in (real.records(), NESTED, BIG, []):
        for effort in Effort:
            yield encode(Columns.from_records(given), effort=effort)


@target(seeds=bodies)
def columns_body(data: bytes) -> None:
    """A body is records within the limits, or a DecodeError."""
    _check(data, None)


def _streams() -> Iterator[bytes]:
    for given in (real.records(), NESTED, BIG):
        yield _CUT.join(codec._shred(Columns.from_records(given), None, Choice(), None))


@target(seeds=_streams)
def columns_sections(data: bytes) -> None:
    """The same behind the compression: structure, text and planes as an attacker writes them."""
    structure, text, planes = [*data.split(_CUT, 2), b"", b""][:3]
    packed, _ = pack(Sections(structure, text, planes), Effort.FAST, b"", Packing(0, 0))
    _check(bytes((VERSION,)) + packed, None)


def _with_dictionaries() -> Iterator[bytes]:
    given = real.records(count=40)
    dictionary = encode(Columns.from_records(given[:20]))
    yield dictionary + _CUT + encode(Columns.from_records(given[20:]), dictionary=Dictionary(dictionary))[6:]


@target(seeds=_with_dictionaries)
def columns_dictionary(data: bytes) -> None:
    """A body that leans on a dictionary, when both are an attacker's."""
    content, _, rest = data.partition(_CUT)
    dictionary = Dictionary(content)
    _check(bytes((VERSION, 0x80)) + dictionary.id[:4] + rest, dictionary)
    _check(bytes((VERSION, 0xC0)) + dictionary.id[:4] + rest, dictionary)


def _check(body: bytes, dictionary: Dictionary | None) -> None:
    try:
        read = decode(body, limits=LIMITS, dictionary=dictionary)
    except DecodeError:
        return
    assert read.count <= LIMITS.max_records
    assert all(len(column) == read.count for column in read.fields.values())
    records = read.records()
    again = decode(encode(Columns.from_records(records), effort=Effort.FAST)).records()
    assert _exact(again) == _exact(records), "what was read does not survive being written"


def _exact(records: list[dict[str, Any]]) -> object:
    """What tells every value apart; the order of keys is not kept (docs/wire-format/columns.md)."""
    return to_json(keys_sorted(records))


@target(seeds=lambda: [msgspec.json.encode(each) for each in (NESTED, real.records())])
def columns_records(data: bytes) -> None:
    """Whatever a door could take survives the batch format, value for value, with any effort."""
    try:
        given = msgspec.json.decode(data, type=list[dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    for effort in Effort:
        with suppress(ValueError):  # nested too deep
            read = decode(encode(Columns.from_records(given), effort=effort)).records()
            assert _exact(read) == _exact(given), effort


def _chunks() -> Iterator[bytes]:
    for given in (real.records(), NESTED, [{"a": 1}, {"b": 2}], [{"big": 2**70}]):
        for made in chunk.encode_chunks(given, max_records=100):
            yield bytes((made.count,)) + made.body


@target(seeds=_chunks)
def tail_chunk(data: bytes) -> None:
    """A chunk of the tail is as many records as its row says, or it is damaged."""
    count = data[0] if data else 0
    try:
        read = chunk.decode_chunk(data[1:], count)
    except chunk.Damaged:
        return
    assert read.count == count
    assert all(len(column) == count for column in read.fields.values())
