"""Business hours on ordinary days, over midnight and the week's end, and on the days on which clocks are changed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.expect.calendar import HOUR_US, parse_calendar, parse_zone

BERLIN = ZoneInfo("Europe/Berlin")


def us(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


def open_hours(hours: str, first: str, count: int, zone: str = "Europe/Berlin") -> float:
    calendar = parse_calendar(hours, ZoneInfo(zone))
    start = us(first, zone)
    return sum(calendar.open_s(start + n * HOUR_US) for n in range(count)) / 3600


@pytest.mark.parametrize(
    ("hours", "day", "expected"),
    [
        ("Mon-Fri 06:00-18:00", "2026-11-26", 12),  # a Thursday
        ("Mon-Fri 06:00-18:00", "2026-11-28", 0),  # a Saturday
        ("Mon-Fri 06:00-18:00, Sat 08:00-12:00", "2026-11-28", 4),
        ("daily 00:00-24:00", "2026-11-26", 24),
        ("Sat-Mon 10:00-11:30", "2026-11-29", 1.5),  # a Sunday, over the week's end
        ("Thu 22:00-06:00", "2026-11-26", 2),  # over midnight: two hours today
        ("Thu 22:00-06:00", "2026-11-27", 6),  # and six tomorrow
        ("Sun 22:00-06:00", "2026-11-30", 6),  # from Sunday to Monday
        ("Thu 08:00-10:00, Thu 09:00-11:00", "2026-11-26", 3),  # what overlaps counts once
    ],
)
def test_a_day_has_so_many_hours(hours: str, day: str, expected: float) -> None:
    assert open_hours(hours, f"{day}T00:00", 24) == expected


@pytest.mark.parametrize(
    ("hours", "day", "length", "expected"),
    [
        ("daily 00:00-24:00", "2026-03-29", 23, 23),  # clocks go forward at 02:00
        ("daily 00:00-24:00", "2026-10-25", 25, 25),  # and back at 03:00
        ("daily 02:00-03:00", "2026-03-29", 23, 0),  # there is no such hour
        ("daily 02:00-03:00", "2026-10-25", 25, 2),  # it comes twice
        ("daily 01:00-02:30", "2026-03-29", 23, 1),
        ("daily 06:00-18:00", "2026-03-29", 23, 12),
        ("Sun 22:00-06:00", "2026-03-29", 23, 2),
    ],
)
def test_the_days_on_which_clocks_are_changed_are_right(hours: str, day: str, length: int, expected: float) -> None:
    assert open_hours(hours, f"{day}T00:00", length) == expected


def test_the_same_hours_are_other_hours_elsewhere() -> None:
    calendar = parse_calendar("Mon-Fri 06:00-18:00", BERLIN)
    assert calendar.is_open(us("2026-11-26T05:00"))  # 06:00 in Berlin in winter
    assert not calendar.is_open(us("2026-11-26T04:59"))
    assert calendar.is_open(us("2026-07-02T04:00"))  # and in summer
    half = parse_calendar("daily 09:00-10:00", ZoneInfo("Asia/Kolkata"))
    assert half.open_s(us("2026-11-26T03:00")) == 1800  # half past three UTC is nine there


@given(st.integers(0, 200 * 366 * 24), st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]))
def test_always_is_always_in_every_zone(hour: int, zone: str) -> None:
    assert parse_calendar("daily 00:00-24:00", ZoneInfo(zone)).open_s(hour * HOUR_US) == 3600


@pytest.mark.parametrize(
    "text", ["", "Mon-Fri", "Mo 06:00-18:00", "Mon 6-18", "Mon 25:00-26:00", "Mon 24:30-02:00", "x," * 60]
)
def test_what_is_no_span_of_hours_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"hours|time"):
        parse_calendar(text, BERLIN)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "Europe", "\0"])
def test_what_is_no_time_zone_is_said(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        parse_zone(name)
