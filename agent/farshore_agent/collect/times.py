"""When the events of records took place: one by one with a reason, or the bounds of many at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from farshore_agent.buffer.shaped import Record, column_of
from farshore_agent.collect.form import NotAdmitted
from farshore_protocol.columns.times import find_style, parse
from farshore_protocol.event_time import BadTime, event_time_us


def time_of(record: dict[str, Any], field: str | None, now_us: int) -> int:
    """The event time in microseconds; `now_us` where the arrival is the event's time.

    Raises:
        NotAdmitted: missing, or no usable time.
    """
    if field is None:
        return now_us
    value = record.get(field)
    if value is None:
        raise NotAdmitted("has no event time", field)
    try:
        return event_time_us(value)
    except BadTime as error:
        raise NotAdmitted(str(error), field) from None


def bounds_of(records: Sequence[Record], field: str | None, now_us: int) -> tuple[int, int] | None:
    """Oldest and newest event time of records that are all shaped alike or all mappings.

    None when a time is unusable, or when they have to be looked at one by one.
    """
    if field is None:
        return now_us, now_us
    try:
        values = column_of(records, field)
        kinds = set(map(type, values))
        if kinds == {str}:
            return _text_bounds(values)
        if kinds == {int} or (kinds == {float} and all(map(math.isfinite, values))):
            return _number_bounds(values)
    except (KeyError, ValueError, TypeError, OverflowError):
        pass
    return None


def _text_bounds(values: list[str]) -> tuple[int, int]:
    """Most sources write all of their times in one style; those are read together."""
    style = find_style(values[0])
    times = parse(values, style) if style else None
    if times is None:
        return _bounds(list(map(datetime.fromisoformat, values)))
    low, high = min(times.values), max(times.values)
    return _bounds([values[times.values.index(low)], values[times.values.index(high)]])


def _number_bounds(values: list[float]) -> tuple[int, int] | None:
    """The unit is told by the number of digits: only numbers of equally many are surely in one unit."""
    low, high = min(values), max(values)
    if low < 0 or len(str(int(low))) != len(str(int(high))):
        return None
    return _bounds([low, high])


def _bounds(values: list[Any]) -> tuple[int, int]:
    return event_time_us(min(values)), event_time_us(max(values))
