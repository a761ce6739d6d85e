"""Range sets against plain sets of integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.errors import Malformed, OverLimit
from farshore_protocol.limits import MAX_RANGES, MAX_SEQUENCE
from farshore_protocol.ranges import EMPTY, RangeSet, upto

pairs = st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
range_sets = st.lists(pairs, max_size=8).map(lambda ranges: RangeSet.of(*ranges))


def members(ranges: RangeSet) -> set[int]:
    return {each for first, last in ranges for each in range(first, last + 1)}


@given(range_sets, range_sets)
def test_union_difference_and_intersection_are_those_of_sets(a: RangeSet, b: RangeSet) -> None:
    assert members(a | b) == members(a) | members(b)
    assert members(a - b) == members(a) - members(b)
    assert members(a & b) == members(a) & members(b)


@given(range_sets, range_sets)
def test_equal_sets_are_equal_values(a: RangeSet, b: RangeSet) -> None:
    assert (a == b) == (members(a) == members(b))
    assert (a - b) | (a & b) == a


@given(range_sets, pairs)
def test_covers_clip_and_contains_agree_with_sets(a: RangeSet, span: tuple[int, int]) -> None:
    wanted = set(range(span[0], span[1] + 1))
    assert a.covers(*span) == (wanted <= members(a))
    assert members(a.clip(*span)) == members(a) & wanted
    assert all((each in a) == (each in members(a)) for each in range(1, 80))


@given(range_sets)
def test_count_watermark_and_highest_are_those_of_the_members(a: RangeSet) -> None:
    everything = members(a)
    assert a.count == len(everything)
    assert a.highest == max(everything, default=0)
    assert a.watermark == next(each for each in range(100) if each + 1 not in everything)


@given(range_sets, st.integers(1, 4))
def test_fewer_ranges_have_all_of_the_members_and_none_beyond_them(a: RangeSet, count: int) -> None:
    fewer = a.within(count)
    assert len(fewer.ranges) == min(count, len(a.ranges))
    assert members(a) <= members(fewer)
    assert fewer.highest == a.highest
    assert fewer.ranges[: count - 1] == a.ranges[: count - 1]
    assert RangeSet.from_wire(fewer.to_wire()) == fewer


@given(range_sets)
def test_the_wire_form_comes_back(a: RangeSet) -> None:
    assert RangeSet.from_wire(a.to_wire()) == a


@given(st.lists(st.integers(-2, MAX_SEQUENCE + 2), max_size=9))
def test_any_numbers_from_a_peer_are_a_range_set_or_malformed(flat: list[int]) -> None:
    try:
        read = RangeSet.from_wire(flat)
    except Malformed:
        return
    assert read.to_wire() == flat
    assert RangeSet.of(*read) == read


def test_too_many_ranges_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(OverLimit, match=str(MAX_RANGES)):
        RangeSet.from_wire([0] * (2 * MAX_RANGES + 2))


def test_a_range_that_ends_before_it_starts_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="5…4"):
        RangeSet.of((5, 4))


def test_it_prints_as_people_write_it() -> None:
    assert str(RangeSet.of((1, 5), (9, 9))) == "1…5, 9"
    assert str(EMPTY) == "none"
    assert str(upto(3)) == "1…3"
    assert upto(0) == EMPTY
