"""Alerts do not flap, whatever the values do; and they neither come too early nor stay for ever."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.alerts.hysteresis import QUIET, Levels, Look, Phase, Standing, step

SECOND_US = 1_000_000
LOOK_S = 30
LEVELS = Levels(raise_at=10, clear_below=5, after_s=90, clear_after_s=120)

values = st.one_of(st.none(), st.floats(0, 20), st.sampled_from([4.9, 5.0, 7.0, 9.9, 10.0, math.nan]))
runs = st.lists(values, max_size=80)
any_levels = st.builds(
    lambda low, more, after_s, clear_after_s: Levels(low + more, low, after_s, clear_after_s),
    st.integers(1, 10),
    st.integers(0, 8),
    st.sampled_from([0, 30, 60, 100, 300]),
    st.sampled_from([0, 30, 60, 100, 300]),
)


def walk(seen: Sequence[float | None], levels: Levels = LEVELS) -> list[Standing]:
    standing, walked = QUIET, []
    for at, value in enumerate(seen):
        standing = step(standing, Look(value, at * LOOK_S * SECOND_US), levels)
        walked.append(standing)
    return walked


def is_bad(value: float | None, levels: Levels) -> bool:
    return value is not None and value >= levels.raise_at


def is_good(value: float | None, levels: Levels) -> bool:
    return value is None or value < levels.clear_below


@given(runs, any_levels)
def test_it_is_raised_only_after_it_was_bad_for_the_whole_time(seen: list[float | None], levels: Levels) -> None:
    was_up = False
    for at, standing in enumerate(walk(seen, levels)):
        if standing.phase.is_up and not was_up:
            looks = levels.after_s // LOOK_S if levels.after_s % LOOK_S == 0 else levels.after_s // LOOK_S + 1
            assert at >= looks
            assert all(is_bad(value, levels) for value in seen[at - looks : at + 1])
        was_up = standing.phase.is_up


@given(runs, any_levels)
def test_it_is_cleared_only_after_it_was_good_for_the_whole_time(seen: list[float | None], levels: Levels) -> None:
    was_up = False
    for at, standing in enumerate(walk(seen, levels)):
        if was_up and not standing.phase.is_up:
            looks = -(-levels.clear_after_s // LOOK_S)
            assert all(is_good(value, levels) for value in seen[at - looks : at + 1])
        was_up = standing.phase.is_up


@given(runs, any_levels)
def test_between_two_changes_lies_at_least_the_shorter_time(seen: list[float | None], levels: Levels) -> None:
    phases = [standing.phase.is_up for standing in walk(seen, levels)]
    changes = [at for at in range(1, len(phases)) if phases[at] != phases[at - 1]]
    shortest = min(levels.after_s, levels.clear_after_s)
    assert all((later - earlier) * LOOK_S >= shortest for earlier, later in pairwise(changes))


@given(st.lists(st.floats(5, 9.99), min_size=1, max_size=60), st.booleans())
def test_between_the_levels_nothing_changes(seen: list[float], is_up: bool) -> None:
    before = [20.0] * 10 if is_up else []
    walked = walk([*before, *seen])
    assert {each.phase.is_up for each in walked[len(before) :]} == {is_up}


@given(runs, any_levels)
def test_what_stays_bad_is_raised_and_what_stays_good_is_cleared(seen: list[float | None], levels: Levels) -> None:
    enough = 400 // LOOK_S + 1
    bad = walk([*seen, *[float(levels.raise_at)] * enough], levels)
    assert bad[-1].phase is Phase.RAISED
    assert walk([*seen, *[None] * enough], levels)[-1] == QUIET
    assert walk([*seen, *[0.0] * enough], levels)[-1] == QUIET


@given(runs, st.lists(st.just(math.nan), min_size=1, max_size=30))
def test_what_nobody_can_know_neither_raises_nor_clears(seen: list[float | None], unknown: list[float]) -> None:
    before = [each.phase.is_up for each in walk(seen)][-1:]
    after = [each.phase.is_up for each in walk([*seen, *unknown])]
    assert after[-1:] == (before or [False])


def test_a_value_that_swings_over_the_upper_level_is_told_once() -> None:
    seen = [12.0] * 4 + [8.0, 12.0] * 20
    phases = [each.phase.is_up for each in walk(seen)]
    assert phases == [False] * 3 + [True] * 41


def test_after_a_pause_or_a_jump_of_the_clock_the_waiting_begins_anew() -> None:
    rising = step(QUIET, Look(12, 0), LEVELS)
    jumped = Look(12, 10**15, unbroken=False)
    assert step(rising, jumped, LEVELS) == Standing(Phase.RISING, 10**15)
    up = Standing(Phase.FALLING, 0)
    assert step(up, Look(None, 10**15, unbroken=False), LEVELS).phase is Phase.FALLING


def test_another_fault_waits_for_itself() -> None:
    rising = step(QUIET, Look(12, 0, "first"), LEVELS)
    again = step(rising, Look(12, 90 * SECOND_US, "second"), LEVELS)
    assert again == Standing(Phase.RISING, 90 * SECOND_US, "second")
    assert step(again, Look(12, 180 * SECOND_US, "second"), LEVELS).phase is Phase.RAISED


def test_while_the_hub_may_be_to_blame_nothing_is_raised_and_what_stands_stays() -> None:
    look = Look(12, 10**12, may_raise=False)
    assert step(Standing(Phase.RISING, 0), look, LEVELS).phase is Phase.RISING
    assert step(Standing(Phase.RAISED, 0), look, LEVELS).phase is Phase.RAISED


def test_levels_that_raise_and_clear_at_once_are_no_levels() -> None:
    with pytest.raises(ValueError, match="at once"):
        Levels(raise_at=5, clear_below=6, after_s=0, clear_after_s=0)
