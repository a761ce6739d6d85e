"""Rates, promises, and what never reached the agent."""

from __future__ import annotations

import time

import pytest

from farshore_hub.expect.calendar import ALWAYS, HOUR_US, parse_calendar, parse_zone
from farshore_hub.expect.expectation import (
    Expectation,
    expectation_of,
    expected_hours,
    named_streams,
    standing_of,
)
from farshore_hub.expect.patterns import check_pattern, matches
from farshore_hub.expect.rate import Rate, parse_rate

HOUR = 498_000
EVERY_10_S = Expectation("*", "boiler*", Rate(1, 10), ALWAYS, tolerance=0.02)


@pytest.mark.parametrize(
    ("text", "per_hour"), [("1 per 10 s", 360), ("600 per h", 600), ("2 per 1 min", 120), ("1 per d", 1 / 24)]
)
def test_rates_are_read(text: str, per_hour: float) -> None:
    assert parse_rate(text).per_s * 3600 == pytest.approx(per_hour)


@pytest.mark.parametrize("text", ["", "10 s", "1 per", "0 per s", "1 per 0 s", "-1 per s", "1.5 per s", 7, None])
def test_what_is_no_rate_is_said(text: object) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)


def test_a_line_says_what_was_expected_produced_and_missing_before_the_agent() -> None:
    produced = {HOUR: 360, HOUR + 1: 355, HOUR + 2: 300, HOUR + 4: 400}
    lines = expected_hours("s", "boiler", EVERY_10_S, produced, range(HOUR, HOUR + 5))
    assert [(each.expected, each.produced, round(each.missing)) for each in lines] == [
        (360, 360, 0),
        (360, 355, 0),  # within the tolerance
        (360, 300, 60),
        (360, 0, 360),
        (360, 400, 0),  # more than promised is no fault
    ]


def test_outside_its_hours_a_stream_owes_nothing() -> None:
    working = parse_calendar("Mon-Fri 06:00-18:00", parse_zone("UTC"))
    promise = Expectation("*", "boiler", Rate(1, 60), working)
    saturday = 20_785 * 24  # 2026-11-28
    assert expected_hours("s", "boiler", promise, {}, range(saturday, saturday + 24)) == []
    friday_evening = saturday - 6
    assert promise.silent_s(friday_evening - 1, (saturday + 40) * HOUR_US) == 0
    monday_eight = saturday + 2 * 24 + 8
    assert promise.silent_s(friday_evening - 1, monday_eight * HOUR_US) == 2 * 3600


def test_a_stream_is_silent_since_the_end_of_its_last_hour() -> None:
    now_us = (HOUR + 1) * HOUR_US + 20 * 60_000_000
    found = standing_of("s", "boiler", EVERY_10_S, {HOUR - 1: 360, HOUR: 5}, HOUR - 24, now_us)
    assert (found.silent_s, found.silent_since_us) == (1200, (HOUR + 1) * HOUR_US)
    spoke = standing_of("s", "boiler", EVERY_10_S, {HOUR: 5, HOUR + 1: 1}, HOUR - 24, now_us)
    assert (spoke.silent_s, spoke.silent_since_us) == (0, None)


def test_a_record_from_a_wrong_future_is_no_sign_of_life() -> None:
    now_us = (HOUR + 1) * HOUR_US
    found = standing_of("s", "boiler", EVERY_10_S, {HOUR - 9: 1, HOUR + 5000: 1}, HOUR - 24, now_us)
    assert found.silent_since_us == (HOUR - 8) * HOUR_US


def test_a_stream_that_was_never_heard_of_is_silent_since_its_site_joined() -> None:
    found = standing_of("s", "boiler", EVERY_10_S, {}, HOUR, (HOUR + 3) * HOUR_US)
    assert found.silent_since_us == HOUR * HOUR_US


def test_slow_streams_may_be_silent_for_longer() -> None:
    assert EVERY_10_S.allowed_silence_s == 900
    assert Expectation("*", "x", Rate(1, 3600), ALWAYS).allowed_silence_s == 3 * 3600
    assert Expectation("*", "x", Rate(1, 3600), ALWAYS, silent_after_s=60).allowed_silence_s == 60


def test_of_the_promises_that_fit_the_last_one_says() -> None:
    special = Expectation("ship-*", "boiler", Rate(1, 60), ALWAYS)
    found = [EVERY_10_S, special]
    assert expectation_of(found, "ship-1", "boiler") is special
    assert expectation_of(found, "shop", "boiler") is EVERY_10_S
    assert expectation_of(found, "shop", "pump") is None
    assert named_streams(found, {"ship-1": {}, "shop": {}}) == {("ship-1", "boiler")}


def test_a_promise_may_be_of_sites_with_labels() -> None:
    northern = Expectation("*", "boiler", Rate(1, 60), ALWAYS, labels={"region": ("north", "west"), "kind": ("ship",)})
    found, ship = [EVERY_10_S, northern], {"region": "north", "kind": "ship"}
    assert expectation_of(found, "a", "boiler", ship) is northern
    for other in ({}, {"region": "north"}, {"region": "south", "kind": "ship"}):
        assert expectation_of(found, "a", "boiler", other) is EVERY_10_S
    assert named_streams(found, {"a": ship, "b": {}}) == {("a", "boiler")}


def test_patterns_of_names() -> None:
    assert matches("pump-*", "pump-7")
    assert matches("pump-?", "pump-7")
    assert not matches("pump-?", "pump-77")
    for bad in ("", "Pump", "a b", "[a]", "x" * 128):
        with pytest.raises(ValueError, match="is not a pattern"):
            check_pattern(bad)


def test_a_pattern_of_many_stars_does_not_take_for_ever() -> None:
    began_s = time.process_time()
    assert not matches("*a" * 60, "a" * 50 + "b" * 70)
    assert time.process_time() - began_s < 60, "it would be years"
