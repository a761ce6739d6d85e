"""Times written as text: what has a style comes back character by character, and nothing else has one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.columns import times

STYLES = st.builds(times.TimeStyle, st.integers(0, 1), st.integers(0, 2), st.integers(0, 9), st.integers(0, 3))
EARLIEST, LATEST = datetime(1900, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - styles have no zone


@given(STYLES, st.lists(st.datetimes(EARLIEST, LATEST), min_size=1, max_size=20))
def test_times_are_what_their_texts_say(style: times.TimeStyle, moments: list[datetime]) -> None:
    unit = 10**style.digits
    numbers = [
        (moment - datetime(1970, 1, 1)) // timedelta(seconds=1) * unit + moment.microsecond % unit  # noqa: DTZ001
        for moment in moments
    ]
    texts = times.write(numbers, style)
    parsed = times.parse(texts, style)
    assert parsed is not None
    assert parsed.values == numbers


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00.000Z",  # no leap year
        "2026-02-28T24:00:00.000Z",
        "2026-02-28T23:60:00.000Z",
        "2026-02-28T23:59:60.000Z",
        "2026-02-28T23:59:5\u0663.000Z",
        "2026-02-28t23:59:59.000Z",
        "2026-02-28T23:59:59,000Z",
        "2026-02-28T23:59:59.00Z",
        "2026-02-28T23:59:59.0000",
        "2026-2-028T23:59:59.000Z",
        "0000-02-28T23:59:59.000Z",
        "",
    ],
)
def test_what_would_not_come_back_has_no_times(text: str) -> None:
    good = "2026-02-28T23:59:59.999Z"
    style = times.find_style(good)
    assert style is not None
    assert times.parse([good, good], style) is not None
    assert times.parse([good, text], style) is None
    assert times.parse([text], style) is None


def test_texts_whose_lengths_make_up_for_each_other_have_no_times() -> None:
    good = "2026-02-28T23:59:59Z"
    style = times.find_style(good)
    assert style is not None
    assert times.parse([good + good[:1], good[1:]], style) is None


def test_times_too_far_for_64_bits_have_none() -> None:
    style = times.find_style("9999-12-31T23:59:59.999999999Z")
    assert style is not None
    assert times.parse(["9999-12-31T23:59:59.999999999Z"], style) is None
