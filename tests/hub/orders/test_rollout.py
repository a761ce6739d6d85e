"""The next step of a rollout: what it waits for, what stops it, and when it goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from farshore_hub.orders.rollout import FAILED, Member, Move, Part, Strategy, check_strategy, decide, stages_of

S = 1_000_000
NOW = 10_000 * S
STRATEGY = Strategy(("1", "50%", "100%"), soak_s=600, halt={"failed": 1, "silent": 2, "gaps": 1}, silent_after_s=900)
KEPT = Member(0, Part.KEPT, settled_us=NOW - 700 * S, ordered_us=NOW - 800 * S, heard_us=NOW)
HERE = Member(0, Part.ORDERED, ordered_us=NOW - 800 * S, heard_us=NOW)
AWAY = Member(0, Part.ORDERED, ordered_us=NOW - 800 * S, heard_us=NOW - 901 * S)


def step(
    *members: Member, stage: int = 0, since_us: int = 0, strategy: Strategy = STRATEGY, now_us: int = NOW
) -> tuple[Move, str]:
    made = decide(strategy, stage, since_us, members, now_us)
    return made.move, made.why


def test_a_stage_waits_for_every_site_that_is_there() -> None:
    assert step(KEPT, HERE) == (Move.WAIT, "1 sites of stage 1 have not reported for good")
    assert step(KEPT, replace(HERE, part=Part.PROBING))[0] is Move.WAIT
    assert step(KEPT, replace(HERE, stage=1))[0] is Move.ADVANCE


def test_a_site_that_is_away_holds_nothing_up_unless_nobody_was_heard_at_all() -> None:
    assert step(KEPT, AWAY)[0] is Move.ADVANCE
    assert step(KEPT, replace(AWAY, part=Part.WAITING, ordered_us=None, heard_us=None))[0] is Move.ADVANCE
    assert step(AWAY) == (Move.WAIT, "no site of stage 1 has been heard")
    assert step(KEPT, replace(AWAY, stage=1), stage=1) == (Move.WAIT, "no site of stage 2 has been heard")


def test_the_soak_begins_with_the_stage_and_anew_with_every_report() -> None:
    assert step(KEPT, replace(KEPT, settled_us=NOW - 599 * S)) == (Move.WAIT, "stage 1 soaks for 1 s more")
    assert step(KEPT, since_us=NOW - 10 * S) == (Move.WAIT, "stage 1 soaks for 590 s more")
    assert step(KEPT, replace(KEPT, settled_us=NOW - 600 * S))[0] is Move.ADVANCE


@pytest.mark.parametrize("part", FAILED)
def test_a_site_that_does_not_keep_the_settings_stops_it_with_the_reason(part: Part) -> None:
    move, why = step(KEPT, HERE, replace(KEPT, part=part))
    assert (move, why) == (Move.HALT, "1 sites refused the settings or rolled them back (failed=1)")


def test_sites_that_fall_silent_after_the_order_stop_it_and_those_that_were_away_before_do_not() -> None:
    cut_off = replace(KEPT, ordered_us=NOW - 2000 * S, heard_us=NOW - 901 * S)
    assert step(KEPT, cut_off, AWAY)[0] is Move.ADVANCE
    assert step(KEPT, cut_off, replace(cut_off, part=Part.PROBING)) == (
        Move.HALT,
        "2 sites fell silent after the order (silent=2)",
    )


def test_records_that_are_missing_since_stop_it() -> None:
    assert step(KEPT, replace(KEPT, new_gaps=True))[0] is Move.HALT
    assert step(KEPT, replace(KEPT, new_gaps=True), strategy=replace(STRATEGY, halt={}))[0] is Move.ADVANCE


def test_the_last_stage_ends_it_and_says_who_is_left() -> None:
    assert step(KEPT, AWAY, stage=2) == (
        Move.END,
        "1 of 2 sites have the settings; the others take part when they return",
    )
    assert step(stage=2) == (Move.END, "0 of 0 sites have the settings")


def test_stages_are_numbers_or_shares_and_who_is_there_comes_first() -> None:
    names = [f"ship-{number}" for number in range(10)]
    stages = stages_of(STRATEGY, names, {"ship-7", "ship-8"}, "1")
    assert sorted(stages.values()) == [0] + [1] * 4 + [2] * 5
    assert {name for name, stage in stages.items() if stage == 0} < {"ship-7", "ship-8"}
    assert stages_of(STRATEGY, names, set(), "1") != stages_of(STRATEGY, names, set(), "2")


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        (Strategy(()), "1 to 20 stages"),
        (Strategy(("5", "50%")), "last stage is 100%"),
        (Strategy(("0", "100%")), "is no stage"),
        (Strategy(("101%", "100%")), "is no stage"),
        (Strategy(halt={"noise": 1}), "halts nothing"),
        (Strategy(halt={"failed": 0}), "halts nothing"),
    ],
)
def test_a_strategy_that_makes_no_sense_is_said(strategy: Strategy, why: str) -> None:
    assert why in check_strategy(strategy)
    assert check_strategy(STRATEGY) == ""


TIMES = st.none() | st.integers(0, NOW)
MEMBERS = st.lists(
    st.builds(Member, st.integers(0, 2), st.sampled_from(Part), TIMES, TIMES, TIMES, st.booleans()), max_size=12
)
STRATEGIES = st.builds(
    Strategy,
    st.just(("1", "50%", "100%")),
    st.integers(0, 2000),
    st.dictionaries(st.sampled_from(["failed", "silent", "gaps"]), st.integers(1, 3)),
    st.integers(0, 5000),
)


@given(STRATEGIES, st.integers(0, 2), st.integers(0, NOW), MEMBERS)
def test_it_never_goes_on_over_failures_unreported_sites_or_the_soak(
    strategy: Strategy, stage: int, since_us: int, members: list[Member]
) -> None:
    move, why = step(*members, stage=stage, since_us=since_us, strategy=strategy)
    assert why
    if move not in (Move.ADVANCE, Move.END):
        return
    released = [each for each in members if each.stage <= stage]
    assert (move is Move.END) == (stage == 2)
    assert "failed" not in strategy.halt or sum(each.part in FAILED for each in released) < strategy.halt["failed"]
    assert "gaps" not in strategy.halt or sum(each.new_gaps for each in released) < strategy.halt["gaps"]
    for each in released:
        away = each.heard_us is None or each.heard_us < NOW - strategy.silent_after_s * S
        assert away or each.part not in (Part.WAITING, Part.ORDERED, Part.PROBING)
        assert each.settled_us is None or NOW - each.settled_us > (strategy.soak_s - 1) * S
    assert NOW - since_us > (strategy.soak_s - 1) * S


@given(STRATEGIES, st.integers(0, 2), MEMBERS)
def test_later_stages_change_nothing_and_the_order_of_sites_neither(
    strategy: Strategy, stage: int, members: list[Member]
) -> None:
    released = [each for each in members if each.stage <= stage]
    assert step(*members, stage=stage, strategy=strategy) == step(*reversed(released), stage=stage, strategy=strategy)


@given(STRATEGIES, st.integers(0, 2), MEMBERS, st.integers(0, 10**13))
def test_once_everybody_has_reported_time_alone_brings_it_on_or_stops_it(
    strategy: Strategy, stage: int, members: list[Member], later_us: int
) -> None:
    settled = [each for each in members if each.part not in (Part.WAITING, Part.ORDERED, Part.PROBING)]
    assume(any(each.stage == stage for each in settled) or not settled)
    after = max(NOW, later_us) + strategy.soak_s * S
    assert step(*settled, stage=stage, strategy=strategy, now_us=after)[0] is not Move.WAIT


@given(st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=50), st.text(max_size=3))
def test_every_site_is_in_exactly_one_stage_and_each_stage_is_as_large_as_planned(names: list[str], seed: str) -> None:
    stages = stages_of(STRATEGY, names, set(names[:3]), seed)
    assert set(stages) == set(names)
    first_two = sum(stage <= 1 for stage in stages.values())
    assert first_two == max(-(-len(names) // 2), min(1, len(names)))
