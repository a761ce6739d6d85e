"""Pages of tables come as they were made, and hostile ones are refused before memory is spent on them."""

from __future__ import annotations

import math

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol import wire
from farshore_protocol.errors import Malformed, OverLimit, ProtocolError, Unsupported
from farshore_protocol.limits import MAX_PAGES_BYTES, MIB
from farshore_protocol.tables import (
    Ask,
    ColumnTold,
    Followed,
    Page,
    Pages,
    RowTold,
    open_ask,
    open_pages,
    pack_ask,
    pack_pages,
)

CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
)
COLUMNS = [ColumnTold(["one", "uno"], "text"), ColumnTold(["two"], "any")]


def page(*rows: RowTold, gone: list[list[object]] | None = None) -> Pages:
    return Pages(
        [Page("goods", b"c", key=[ColumnTold(["id"], "any")], columns=COLUMNS, rows=list(rows), gone=gone or [])]
    )


def packed(content: bytes) -> bytes:
    return b"FST\1" + zstandard.ZstdCompressor().compress(content)


@given(st.lists(st.tuples(CELLS, st.dictionaries(st.sampled_from([0, 1]), CELLS))), st.lists(CELLS))
def test_pages_come_as_they_were_made(rows: list[tuple[object, dict[int, object]]], gone: list[object]) -> None:
    made = page(*(RowTold([key], cells) for key, cells in rows), gone=[[key] for key in gone])
    assert repr(open_pages(pack_pages(made))) == repr(made)


def test_a_question_comes_as_it_was_asked() -> None:
    ask = Ask([Followed("goods", b"cursor"), Followed("prices")], 25_000)
    assert open_ask(pack_ask(ask)) == ask


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    for read, magic in ((open_ask, b"FSQ\1"), (open_pages, b"FST\1")):
        for raw in (garbage, magic + garbage, packed(garbage)):
            try:
                read(raw)
            except ProtocolError:
                continue


@pytest.mark.parametrize(
    "rows",
    [
        [RowTold([1, 2], {})],
        [RowTold([1], {7: 1})],
        [RowTold([1], {-1: 1})],
        [RowTold([1], {0: [1]})],
        [RowTold([{"a": 1}], {})],
        [RowTold([1], {0: 2**63})],
        [RowTold([True], {})],
        [RowTold([1], {0: msgspec.msgpack.Ext(1, b"")})],
    ],
)
def test_values_that_no_table_holds_are_refused(rows: list[RowTold]) -> None:
    with pytest.raises(Malformed):
        open_pages(packed(wire.pack(page(*rows))))


def test_a_small_body_that_claims_to_be_huge_is_refused_by_what_its_frame_says() -> None:
    with pytest.raises(OverLimit):
        open_pages(packed(bytes(MAX_PAGES_BYTES + 1)))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100 * MIB))
    with pytest.raises(ProtocolError):
        open_pages(b"FST\1" + unsized)


def test_a_later_format_is_not_guessed_at() -> None:
    with pytest.raises(Unsupported):
        open_pages(b"FST\2" + pack_pages(page())[4:])


def test_numbers_that_are_none_travel() -> None:
    [told] = open_pages(pack_pages(page(RowTold([-0.0], {0: math.inf})))).pages
    assert math.copysign(1, told.rows[0].key[0]) == -1
    assert told.rows[0].cells == {0: math.inf}
