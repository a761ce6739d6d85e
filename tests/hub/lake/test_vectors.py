"""Decoding in NumPy gives what decoding in Python gives, to the bit, whatever the batch holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.receive.vectors import ARRAYS
from farshore_protocol.columns import Columns, DecodeError, Effort, decode, encode
from farshore_protocol.columns.vectors import LISTS
from tests.protocol.columns.records import RECORDS, same

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-1000, 1000)
FLOATS = st.floats() | st.integers(-(10**6), 10**6).map(lambda number: number / 100)
COLUMN = st.one_of(
    *(st.lists(cells, min_size=1, max_size=60) for cells in (INTEGERS, FLOATS, st.booleans(), st.text()))
)


def assert_same(body: bytes) -> Columns:
    """Both ways give the same values of the same types."""
    arrays = decode(body, vectors=ARRAYS)
    fields = {key: ARRAYS.plain(column) for key, column in arrays.fields.items()}
    assert same(Columns(arrays.count, fields).records(), decode(body).records())
    return arrays


@given(COLUMN, st.sampled_from(Effort))
def test_a_column_of_one_type(column: list[Any], effort: Effort) -> None:
    assert_same(encode(Columns(len(column), {"v": column}), effort=effort))


@given(RECORDS, st.sampled_from(Effort))
def test_any_records(rows: list[dict[str, Any]], effort: Effort) -> None:
    assert_same(encode(Columns.from_records(rows), effort=effort))


@given(st.lists(INTEGERS, min_size=8, max_size=60), st.integers(1, 5))
def test_grouped_rows(numbers: list[int], keys: int) -> None:
    rows: list[dict[str, Any]] = [
        {"key": f"pump-{at % keys}", "n": number, "x": number / 8} for at, number in enumerate(numbers)
    ]
    assert_same(encode(Columns.from_records(rows)))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_batch(body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(body, vectors=ARRAYS)


@given(st.data())
def test_a_batch_with_a_changed_byte_is_the_same_or_refused_by_both(data: st.DataObject) -> None:
    numbers = data.draw(st.lists(INTEGERS, min_size=3, max_size=20))
    body = bytearray(encode(Columns(len(numbers), {"n": list(numbers), "x": [number / 4 for number in numbers]})))
    body[data.draw(st.integers(2, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(body))
    except DecodeError:
        with pytest.raises(DecodeError):
            decode(bytes(body), vectors=ARRAYS)
    else:
        assert_same(bytes(body))


@given(INTEGERS, st.lists(INTEGERS, min_size=1, max_size=20), INTEGERS, INTEGERS)
def test_numbers_of_more_than_64_bits_are_exact(first: int, steps: list[int], factor: int, offset: int) -> None:
    array = np.array(steps)
    assert ARRAYS.plain(ARRAYS.summed(first, array)) == LISTS.summed(first, steps)
    assert ARRAYS.plain(ARRAYS.scaled(array, factor, offset)) == LISTS.scaled(steps, factor, offset)
    assert ARRAYS.plain(ARRAYS.progression(first, factor or 1, 5)) == LISTS.progression(first, factor or 1, 5)
    assert ARRAYS.plain(ARRAYS.repeated(factor, 3)) == [factor] * 3


def test_columns_of_numbers_are_arrays() -> None:
    rows: list[dict[str, Any]] = [{"n": at * at, "x": at / 10, "t": str(at)} for at in range(1000)]
    columns = assert_same(encode(Columns.from_records(rows)))
    assert {key: type(column) for key, column in columns.fields.items()} == {
        "n": np.ndarray,
        "x": np.ndarray,
        "t": list,
    }
