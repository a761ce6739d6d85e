"""Business hours: `Mon-Fri 06:00-18:00, Sat 08:00-12:00` in a time zone.

What counts is what the clock on the wall shows there. So `02:00-03:00` has two hours on the day on which the clock is
set back, and none on the day on which it is set forward.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

HOUR_US: Final = 3_600_000_000
_MINUTE_US: Final = 60_000_000
_DAY_MINUTES: Final = 24 * 60
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME: Final = r"([01][0-9]|2[0-4]):([0-5][0-9])"
_DAY: Final = "|".join(_DAYS)
_FORM: Final = re.compile(rf" *(?:(daily)|({_DAY})(?: *- *({_DAY}))?) +{_TIME} *- *{_TIME} *")
_MAX_SPANS: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Calendar:
    """When something is to happen.

    Attributes:
        minutes: of a week that begins on Monday at midnight, half-open and in order; None is always.
        zone: in which the clock hangs.
    """

    minutes: tuple[tuple[int, int], ...] | None = None
    zone: ZoneInfo | None = None

    def is_open(self, at_us: int) -> bool:
        """Whether that moment is within the hours."""
        if self.minutes is None:
            return True
        wall = (_EPOCH + timedelta(microseconds=at_us)).astimezone(self.zone or UTC)
        minute = wall.weekday() * _DAY_MINUTES + wall.hour * 60 + wall.minute
        return any(first <= minute < end for first, end in self.minutes)

    def open_s(self, hour_us: int) -> int:
        """How many seconds of the hour that begins then are within the hours."""
        return 3600 if self.minutes is None else _open_s(self, hour_us)


@lru_cache(maxsize=100_000)
def _open_s(calendar: Calendar, hour_us: int) -> int:
    return 60 * sum(calendar.is_open(at_us) for at_us in range(hour_us, hour_us + HOUR_US, _MINUTE_US))


ALWAYS: Final = Calendar()


def parse_calendar(text: str, zone: ZoneInfo) -> Calendar:
    """Business hours in a time zone. An end before the beginning is on the next day: `Mon-Fri 22:00-06:00`.

    Raises:
        ValueError: with the rule in its text.
    """
    parts = text.split(",")
    if len(parts) > _MAX_SPANS:
        raise ValueError(f"these are more than {_MAX_SPANS} spans of hours")
    minutes: list[tuple[int, int]] = []
    for part in parts:
        minutes += _minutes_of(part)
    return Calendar(tuple(sorted(minutes)), zone)


def parse_zone(name: str) -> ZoneInfo:
    """A time zone of the IANA database.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name[:40]!r} is not a time zone: write it as in 'Europe/Berlin' or 'UTC'") from None


def _minutes_of(part: str) -> list[tuple[int, int]]:
    found = _FORM.fullmatch(part.lower())
    if found is None:
        raise ValueError(f"{part.strip()[:40]!r} is not a span of hours: write it as in 'Mon-Fri 06:00-18:00'")
    daily, first_day, last_day, *times = found.groups()
    start, end = _minute(times[0], times[1]), _minute(times[2], times[3])
    if end <= start:
        end += _DAY_MINUTES
    days = range(7) if daily else _days(first_day, last_day or first_day)
    return [span for day in days for span in _wrapped(day * _DAY_MINUTES + start, day * _DAY_MINUTES + end)]


def _minute(hours: str, minutes: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if minute > _DAY_MINUTES:
        raise ValueError(f"'{hours}:{minutes}' is not a time: a day ends at 24:00")
    return minute


def _days(first: str, last: str) -> list[int]:
    """From one day to another, over the week's end too."""
    start = _DAYS.index(first)
    return [(start + each) % 7 for each in range((_DAYS.index(last) - start) % 7 + 1)]


def _wrapped(first: int, end: int) -> list[tuple[int, int]]:
    """A span of a week's minutes; what goes over Sunday's end is on Monday."""
    if first >= _WEEK_MINUTES:
        return [(first - _WEEK_MINUTES, end - _WEEK_MINUTES)]
    if end > _WEEK_MINUTES:
        return [(first, _WEEK_MINUTES), (0, end - _WEEK_MINUTES)]
    return [(first, end)]
