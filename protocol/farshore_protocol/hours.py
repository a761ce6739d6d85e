"""Counts of records by the hour of their event time, as both sides keep them.

An hour is the number of whole hours since 1970, UTC. Times that only a wrong clock gives are counted under one hour,
`OUTSIDE`, so that a broken clock cannot fill a ledger with hours. The wire form is `[hour, count, hour, count, …]`,
with rising hours and no count of 0; an empty list says that the hours are not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from farshore_protocol.errors import Malformed
from farshore_protocol.limits import MAX_HOURS, MAX_SEQUENCE

HOUR_US: Final = 3_600_000_000

FIRST_HOUR: Final = 262_968
"""2000-01-01T00:00Z. What seems older was recorded by a clock that was not set."""

END_HOUR: Final = 1_139_568
"""2100-01-01T00:00Z; no hour from here on."""

OUTSIDE: Final = 0
"""The hour under which everything outside 2000…2100 is counted."""

Hours = Mapping[int, int]
"""Hour to count. Empty means unknown: nobody counts nothing."""


def hour_of(time_us: int) -> int:
    """The hour that an event time is counted under."""
    hour = time_us // HOUR_US
    return hour if FIRST_HOUR <= hour < END_HOUR else OUTSIDE


def is_hour(hour: int) -> bool:
    """Whether records are counted under it."""
    return hour == OUTSIDE or FIRST_HOUR <= hour < END_HOUR


def to_wire(hours: Hours) -> list[int]:
    """The wire form; hours without records are left out."""
    return [number for hour, count in sorted(hours.items()) if count for number in (hour, count)]


def from_wire(flat: Sequence[int]) -> dict[int, int]:
    """Read the wire form.

    Raises:
        Malformed: odd length, no rising hours, an hour that there is not, or a count below 1.
    """
    if len(flat) % 2 or len(flat) > 2 * MAX_HOURS:
        raise Malformed(f"counts by hour are {len(flat)} numbers")
    before = -1
    for hour, count in zip(flat[::2], flat[1::2], strict=True):
        if hour <= before or not is_hour(hour) or not 1 <= count <= MAX_SEQUENCE:
            raise Malformed(f"hour {hour} with a count of {count}, after hour {before}")
        before = hour
    return dict(zip(flat[::2], flat[1::2], strict=True))


def added(parts: Iterable[Hours]) -> dict[int, int]:
    """The counts of several added up; unknown when one of them is."""
    total: dict[int, int] = {}
    for part in parts:
        if not part:
            return {}
        for hour, count in part.items():
            total[hour] = total.get(hour, 0) + count
    return total
