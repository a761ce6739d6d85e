"""Whatever the bytes are, decoding gives records or a DecodeError, within its limits."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.columns import VERSION, Columns, DecodeError, DecodeLimits, Effort, codec, decode, encode
from farshore_protocol.columns.plan import Choice, Packing
from farshore_protocol.columns.sections import Sections, pack, varint
from tests.protocol.columns.test_round_trip import sensor

SMALL_LIMITS = DecodeLimits(max_records=1000, max_body_bytes=1_000_000, max_cells=100_000, max_text_chars=1_000_000)
BODY = encode(Columns.from_records(sensor(20)), effort=Effort.FAST)


def decode_or_refuse(body: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode(body, limits=SMALL_LIMITS).records()


def body_of(structure: bytes, text: bytes = b"", planes: bytes = b"") -> bytes:
    """A body with uncompressed sections, as an attacker writes it."""
    packed, _ = pack(Sections(structure, text, planes), Effort.FAST, b"", Packing(0, 0))
    return bytes((VERSION,)) + packed


def numbers(*values: int) -> bytes:
    return b"".join(map(varint, values))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(body: bytes) -> None:
    decode_or_refuse(body)
    decode_or_refuse(bytes((VERSION,)) + body)


STRUCTURES = st.lists(st.integers(0, 40) | st.integers(0, 2**70), max_size=60)


@given(STRUCTURES, st.binary(max_size=40), st.binary(max_size=80))
def test_random_structures_are_refused(structure: list[int], text: bytes, planes: bytes) -> None:
    decode_or_refuse(body_of(numbers(*structure), text, planes))
    decode_or_refuse(body_of(numbers(3, 0, 1, 1, *structure), b"k" + text, planes))


def test_every_truncation_is_refused() -> None:
    for end in range(len(BODY)):
        with pytest.raises(DecodeError):
            decode(BODY[:end])


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(DecodeError, match="after the last section"):
        decode(BODY + b"\0")


def test_every_changed_byte_gives_records_or_a_decode_error() -> None:
    for at in range(len(BODY)):
        for change in (0x01, 0x80, 0xFF):
            decode_or_refuse(BODY[:at] + bytes((BODY[at] ^ change,)) + BODY[at + 1 :])


@given(st.data())
def test_changed_bytes_inside_the_sections_give_records_or_a_decode_error(data: st.DataObject) -> None:
    streams = _streams(sensor(12))
    changed = [bytearray(stream) for stream in streams]
    for _ in range(data.draw(st.integers(1, 3))):
        stream = data.draw(st.sampled_from([part for part in changed if part]))
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    decode_or_refuse(body_of(*map(bytes, changed)))


def _streams(records: list[dict[str, Any]]) -> Sections:
    return codec._shred(Columns.from_records(records), None, Choice(), None)


def test_a_newer_version_is_named() -> None:
    with pytest.raises(DecodeError, match=f"version {VERSION + 1}"):
        decode(bytes((VERSION + 1,)) + BODY[1:])


BOMBS = {
    "records": numbers(2**60, 0, 1, 1, 2, 2, 0),
    "constant integers": numbers(1000, 0, 200, *[0] * 200) + numbers(2, 2, 0) * 200,
    "a progression": numbers(2**50, 0, 1, 0, 2, 3, 0, 2),
    "columns": numbers(1, 0, 2**40),
    "list lengths": numbers(2, 0, 1, 0, 6, 2, 2**62, 2, 2, 0),
    "lists of lists": numbers(1000, 0, 1, 0) + numbers(6, 2, 128) * 60,
    "depth": numbers(1, 0, 1, 0) + numbers(6, 2, 2) * 100,
    "nested encodings": numbers(5, 0, 1, 0, 2) + numbers(8, 1, 0) * 10_000,
    "patched floats": numbers(8, 0, 1, 0, 3) + numbers(4, 1, 0, 0, 8, 2, 0, 2, 0) * 5000,
    "a long constant text": numbers(1000, 0, 1, 0, 4, 2, 900_000),
    "runs": numbers(1000, 0, 1, 0, 1, 1, 0, 9),
}


@pytest.mark.parametrize("structure", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_within_bounded_memory(structure: bytes) -> None:
    body = body_of(structure, b"x" * 900_000, b"\xff" * 1000)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            decode(body, limits=SMALL_LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compressor", [1, 3, 4], ids=["zstd", "lzma for text", "lzma for planes"])
@pytest.mark.parametrize("claimed", [100, 100_000_000], ids=["its size is hidden", "its size is told"])
def test_a_section_that_inflates_too_far_is_refused(compressor: int, claimed: int) -> None:
    packed, _ = pack(Sections(b"\0", bytes(20_000_000), b""), Effort.FAST, b"", Packing(compressor, 0))
    real_size = varint(len(varint(1)) + 1 + 20_000_000)
    body = bytes((VERSION,)) + packed.replace(real_size, varint(claimed), 1)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            decode(body, limits=SMALL_LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
