"""Lines of a known shape are read by a decoder of their own: nobody can tell by what comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.buffer.chunk import decode_chunk, encode_chunks
from farshore_agent.buffer.model import Admitted
from farshore_agent.buffer.shaped import Shaped, mappings
from farshore_agent.collect import texts
from farshore_agent.collect.shapes import MAX_SHAPES, MIN_BYTES, Shapes
from farshore_agent.settings.streams import StreamPolicy

POLICY = StreamPolicy("boiler", time_field="ts")
NOW_US = 1_795_422_600_000_000
FILLER = "x" * MIN_BYTES
GOOD = [{"ts": 1_795_422_600 + at, "": FILLER, "a.é": at / 3, "c": None, "d": at % 2 == 0} for at in range(5)]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(), SCALARS, max_size=2)
KEYS = st.lists(st.text(), unique=True, max_size=5).map(lambda keys: ["ts", "filler", *keys])


def admitted_with(shapes: Shapes, body: bytes) -> Admitted:
    texts._SHAPES, before = shapes, texts._SHAPES  # type: ignore[misc]
    try:
        return texts.admit_ndjson(body, POLICY, NOW_US)
    finally:
        texts._SHAPES = before  # type: ignore[misc]


def shaped_and_general(body: bytes) -> tuple[Admitted, Admitted]:
    """What comes out once the shape is known, and what comes out when it is not."""
    known = Shapes()
    for _ in range(2):
        admitted_with(known, body)
    return admitted_with(known, body), admitted_with(Shapes(), body)


def typed(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value with its types, so that 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return sorted((key, typed(item)) for key, item in value.items())  # columns have one order of keys
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, repr(value)


def assert_same(body: bytes) -> Admitted:
    shaped, general = shaped_and_general(body)
    assert typed(mappings(shaped.records)) == typed(mappings(general.records))
    assert (shaped.oldest_us, shaped.newest_us, shaped.bytes) == (general.oldest_us, general.newest_us, general.bytes)
    assert shaped.refused == general.refused
    return shaped


def lines(records: list[Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_a_shape_that_came_twice_is_read_by_its_own_decoder() -> None:
    shaped = assert_same(lines(GOOD))
    assert all(isinstance(record, Shaped) for record in shaped.records)
    [chunk] = encode_chunks(shaped.records, max_records=100)
    assert decode_chunk(chunk.body, chunk.count).records() == GOOD


@given(KEYS, st.data())
def test_any_lines_come_out_as_without_shapes(keys: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.lists(VALUES, min_size=len(keys), max_size=len(keys)), min_size=1, max_size=5))
    records = [{**dict(zip(keys, row, strict=True)), "ts": NOW_US, "filler": FILLER} for row in rows]
    assert_same(lines(records))


@pytest.mark.parametrize(
    "odd",
    [
        '{"ts": 1795422600}',
        json.dumps({**GOOD[0], "more": 1}),
        json.dumps(dict(reversed(GOOD[0].items()))),
        json.dumps({**GOOD[0], "d": [1]}),
        json.dumps({**GOOD[0], "d": 2**70}),
        json.dumps({**GOOD[0], "d": 2**2000}),
        json.dumps(GOOD[0]) + json.dumps(GOOD[0]),
        json.dumps(GOOD[0])[:-1] + ', "d": 7}',
        json.dumps(GOOD[0])[:-1] + "\n}",
        json.dumps(GOOD[0])[:-1],
        json.dumps(GOOD[0])[:-1] + ', "d": 1e999}',
        " " + json.dumps(GOOD[0]) + "\r",
        "",
        "{}",
        "7",
    ],
)
@pytest.mark.parametrize("at", [0, 2, 5])
def test_a_line_that_is_otherwise_is_judged_as_ever(odd: str, at: int) -> None:
    good = lines(GOOD).splitlines(keepends=True)
    assert_same(b"".join([*good[:at], odd.encode() + b"\n", *good[at:]]))


@pytest.mark.parametrize("key", ['"', "\\", "\n", "\x00", "\u2028"])
def test_keys_that_no_struct_can_have_go_the_general_way(key: str) -> None:
    shaped = assert_same(lines([{**record, key: 1} for record in GOOD]))
    assert not any(isinstance(record, Shaped) for record in shaped.records)


def test_records_of_several_shapes_share_a_commit() -> None:
    shapes = Shapes()
    other = [{"ts": 1, "b": FILLER}]
    for body in (lines(GOOD), lines(other)) * 2:
        shapes.decode_lines(body.splitlines(), body)
    mixed = [
        record for body in (lines(GOOD), lines(other)) for record in shapes.decode_lines(body.splitlines(), body) or ()
    ]
    assert [isinstance(record, Shaped) for record in mixed] == [True] * 6
    [chunk] = encode_chunks([*mixed, {"c": 1}], max_records=100)
    assert decode_chunk(chunk.body, chunk.count).records() == [*GOOD, *other, {"c": 1}]


def test_shapes_are_forgotten_in_time() -> None:
    shapes = Shapes()
    for number in range(3 * MAX_SHAPES):
        body = lines([{"ts": FILLER, f"key {number}": 1}])
        for _ in range(2):
            shapes.decode_lines(body.splitlines(), body)
    assert len(shapes._decoders) == MAX_SHAPES
