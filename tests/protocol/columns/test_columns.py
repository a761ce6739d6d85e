"""Records turned on their side and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.columns import MISSING, Columns, DecodeError, DecodeLimits, Value, codec, decode, encode, writer
from tests.protocol.columns.records import same

SOME_RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 9)), max_size=8)


@given(SOME_RECORDS)
def test_columns_give_back_their_records(records: list[dict[str, Any]]) -> None:
    columns = Columns.from_records(records)
    assert columns.count == len(records)
    assert all(len(column) == len(records) for column in columns.fields.values())
    assert same(columns.records(), records)


@given(st.lists(SOME_RECORDS, max_size=4))
def test_columns_joined_are_the_columns_of_all_records(parts: list[list[dict[str, Any]]]) -> None:
    joined = Columns.concat([Columns.from_records(part) for part in parts])
    assert same(joined.records(), [record for part in parts for record in part])


@given(SOME_RECORDS, st.integers(-30, 30), st.integers(-30, 30))
def test_a_slice_of_columns_is_the_slice_of_the_records(records: list[dict[str, Any]], start: int, stop: int) -> None:
    part = Columns.from_records(records).slice(start, stop)
    assert same(part.records(), records[start:stop])
    assert part.count == len(records[start:stop])


def test_keys_stand_in_the_order_in_which_they_were_first_seen() -> None:
    columns = Columns.from_records([{"b": 1}, {"a": 2, "b": 3}, {"c": 4}])
    assert list(columns.fields) == ["b", "a", "c"]
    assert columns.fields["a"] == [MISSING, 2, MISSING]


def test_joining_leaves_the_parts_as_they_are() -> None:
    part = Columns.from_records([{"a": 1}])
    Columns.concat([part, part])
    assert part == Columns(1, {"a": [1]})


def test_records_of_more_columns_than_a_decoder_takes_are_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = DecodeLimits(max_columns=50)
    monkeypatch.setattr(writer, "DEFAULT_LIMITS", limits)
    fields: dict[str, Value] = {str(number): number for number in range(49)}
    assert decode(encode(Columns.from_records([{"v": fields}])), limits=limits).records() == [{"v": fields}]
    with pytest.raises(ValueError, match="more than 50 columns"):
        encode(Columns.from_records([{"v": {**fields, "one": 1}}]))


def test_nested_records_are_read_before_they_are_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(body: bytes, **_: object) -> Columns:
        raise DecodeError("more than 8000000 values")

    flat, nested = Columns.from_records([{"v": 1}]), Columns.from_records([{"v": [1]}])
    assert decode(encode(nested)).records() == [{"v": [1]}]
    monkeypatch.setattr(codec, "decode", too_much)
    encode(flat)
    with pytest.raises(ValueError, match="more than 8000000 values"):
        encode(nested)
