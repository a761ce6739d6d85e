from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.columns import lanes
from farshore_protocol.columns.integers import MAX_INT, MIN_INT
from farshore_protocol.columns.lanes import Integers

INTEGERS = st.integers(MIN_INT, MAX_INT) | st.integers(-300, 300) | st.sampled_from([MIN_INT, MAX_INT, 0, -1])
COLUMNS = st.lists(INTEGERS, min_size=1, max_size=40)


def wrapped(value: int) -> int:
    """Modulo 2^64, as a signed number."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


@given(COLUMNS)
def test_lanes_hold_integers(values: list[int]) -> None:
    raw = lanes.from_list(values)
    assert lanes.to_list(raw) == values
    assert [lanes.at(raw, index) for index in range(len(values))] == values
    assert Integers.from_lanes(raw).values == values
    assert Integers(values).lanes == raw


@given(st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=40))
def test_sums_are_modulo_two_to_the_64th(pairs: list[tuple[int, int]]) -> None:
    left, right = (lanes.from_list(list(column)) for column in zip(*pairs, strict=True))
    assert lanes.to_list(lanes.plus(left, right)) == [wrapped(one + other) for one, other in pairs]


@given(st.lists(INTEGERS, min_size=2, max_size=40))
def test_differences_are_exact_or_none(values: list[int]) -> None:
    expected = [after - before for before, after in itertools.pairwise(values)]
    found = lanes.differences(lanes.from_list(values))
    if all(MIN_INT <= difference <= MAX_INT for difference in expected):
        assert found is not None
        assert lanes.to_list(found) == expected
    else:
        assert found is None


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9)), min_size=1, max_size=40))
def test_weighted_planes_are_summed(rows: list[tuple[int, int]]) -> None:
    tens, ones = (bytes(column) for column in zip(*rows, strict=True))
    assert lanes.to_list(lanes.weighted([(tens, 10**15), (ones, 3)])) == [a * 10**15 + b * 3 for a, b in rows]


@given(INTEGERS, st.integers(1, 40))
def test_a_repeated_number_is_in_every_lane(number: int, count: int) -> None:
    raw = lanes.repeated(number, count)
    assert lanes.to_list(raw) == [number] * count
    assert lanes.are_equal(raw)
