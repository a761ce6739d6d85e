"""Records turned on their side and back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.columns import MISSING, Columns
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
