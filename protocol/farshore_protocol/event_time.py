"""Event times: what a record's time field may hold, as microseconds since 1970 in UTC.

A number's unit is told by its size, because every plausible date has only one: seconds have up to 10 digits,
milliseconds 13, microseconds 16, nanoseconds 19. A text is ISO 8601; without an offset it is UTC.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from farshore_protocol.limits import EARLIEST_EVENT_US, LATEST_EVENT_US

_UNITS: Final = ((10**11, 1_000_000, 1), (10**14, 1_000, 1), (10**17, 1, 1), (10**20, 1, 1_000))
"""A number below the first figure is multiplied by the second and divided by the third."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadTime(ValueError):
    """A value that is not a usable event time. The text says why."""


def event_time_us(value: object) -> int:
    """Microseconds since 1970-01-01T00:00:00Z.

    Raises:
        BadTime: not a number, text or datetime, or outside 1970…2200.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        at = _from_number(value)
    elif isinstance(value, str):
        at = _from_text(value)
    elif isinstance(value, datetime):
        at = _from_datetime(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadTime(f"{value} is not a time")
        at = _from_number(value)
    else:
        raise BadTime(f"a time is a number, an ISO 8601 text or a datetime, not {_kind(value)}")
    if not EARLIEST_EVENT_US <= at < LATEST_EVENT_US:
        raise BadTime(f"{str(value)[:40]} is outside 1970…2200: is the clock of the source set?")
    return at


def unit_of(number: float) -> tuple[int, int]:
    """What a number is multiplied with, and then divided by, to be microseconds.

    Raises:
        BadTime: it is too large for any unit.
    """
    for bound, times, divided in _UNITS:
        if abs(number) < bound:
            return times, divided
    raise BadTime("a number of more than 19 digits is not a time")


def _from_number(value: float) -> int:
    times, divided = unit_of(value)
    return int(value * times // divided)


def _from_text(value: str) -> int:
    try:
        return _from_datetime(datetime.fromisoformat(value))
    except ValueError:
        raise BadTime(f"{value[:40]!r} is not an ISO 8601 time such as 2026-11-23T08:30:00Z") from None


def _from_datetime(value: datetime) -> int:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    span = aware - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def _kind(value: object) -> str:
    return {type(None): "null", bool: "a boolean", list: "a list", dict: "an object"}.get(type(value), "this")
