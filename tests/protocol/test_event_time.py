"""Event times in the forms that sources write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.event_time import BadTime, event_time_us
from farshore_protocol.limits import EARLIEST_EVENT_US, LATEST_EVENT_US

NOON = 1_795_435_200_000_000


@pytest.mark.parametrize(
    "value",
    [
        1_795_435_200,
        1_795_435_200_000,
        1_795_435_200_000_000,
        1_795_435_200_000_000_000,
        1_795_435_200.0,
        "2026-11-23T12:00:00Z",
        "2026-11-23 12:00:00",
        "2026-11-23T13:00:00+01:00",
        datetime(2026, 11, 23, 12),  # noqa: DTZ001 - without a zone it is UTC
        datetime(2026, 11, 23, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_every_usual_form_means_the_same_instant(value: object) -> None:
    assert event_time_us(value) == NOON


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "not null"),
        (True, "not a boolean"),
        ([], "not a list"),
        ({}, "not an object"),
        ("yesterday", "ISO 8601"),
        ("0001-01-01T00:00:00Z", "outside 1970"),
        ("9999-12-31T23:59:59Z", "outside 1970"),
        (-1, "outside 1970"),
        (10**30, "more than 19 digits"),
        (float("nan"), "not a time"),
        (float("inf"), "not a time"),
    ],
)
def test_what_is_no_plausible_time_is_refused_with_the_reason(value: object, why: str) -> None:
    with pytest.raises(BadTime, match=why):
        event_time_us(value)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2199, 12, 31)))  # noqa: DTZ001
def test_a_text_and_its_datetime_agree(at: datetime) -> None:
    aware = at.replace(tzinfo=UTC)
    assert event_time_us(aware.isoformat()) == event_time_us(aware)


@given(st.one_of(st.integers(), st.floats(), st.text(max_size=40), st.none(), st.booleans()))
def test_any_value_is_a_time_within_bounds_or_refused(value: object) -> None:
    try:
        at = event_time_us(value)
    except BadTime:
        return
    assert EARLIEST_EVENT_US <= at < LATEST_EVENT_US
