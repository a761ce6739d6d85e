"""What a stream promises, and what it makes of it hour by hour: what never reached the agent shows here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from farshore_hub.expect.calendar import HOUR_US, Calendar
from farshore_hub.expect.patterns import matches
from farshore_hub.expect.rate import Rate
from farshore_hub.expect.selector import NO_LABELS, Labels, Selector, selects

MIN_SILENT_S: Final = 900
SILENT_INTERVALS: Final = 3
_HOUR_S: Final = 3600
_WILD: Final = frozenset("*?")


@dataclass(frozen=True, slots=True)
class Expectation:
    """The promise of the streams that fit two patterns, at sites that are selected by their labels.

    Attributes:
        tolerance: the share of what is expected that may be missing without counting as missing.
        silent_after_s: how long it may be silent; None for three intervals, at least a quarter of an hour.
    """

    sites: str
    streams: str
    rate: Rate
    calendar: Calendar
    tolerance: float = 0.0
    silent_after_s: int | None = None
    labels: Selector = field(default_factory=dict)

    def is_of(self, site: str, labels: Labels) -> bool:
        """Whether a site's streams promise it."""
        return matches(self.sites, site) and selects(self.labels, labels)

    @property
    def allowed_silence_s(self) -> float:
        """How long a stream may be silent within its hours before that is a fault."""
        return self.silent_after_s or max(MIN_SILENT_S, SILENT_INTERVALS * self.rate.interval_s)

    @property
    def names_one_stream(self) -> bool:
        """Whether it names its stream, so that a stream that was never heard of is missing too."""
        return not _WILD & set(self.streams)

    def expected(self, hour: int) -> float:
        """How many records an hour (counted from 1970, UTC) is to have."""
        return self.rate.per_s * self.calendar.open_s(hour * HOUR_US)

    def missing(self, expected: float, produced: int) -> float:
        """How many records never reached the agent."""
        return expected - produced if produced < expected * (1 - self.tolerance) else 0.0

    def silent_s(self, last_hour: int, now_us: int) -> float:
        """Seconds within its hours since the end of the last hour in which it produced anything."""
        hour, into_us = divmod(now_us, HOUR_US)
        whole = sum(self.calendar.open_s(each * HOUR_US) for each in range(last_hour + 1, hour))
        # Of the hour that has just begun no more can be open than has passed.
        return whole + (min(self.calendar.open_s(hour * HOUR_US), into_us / 1_000_000) if hour > last_hour else 0)


@dataclass(frozen=True, slots=True)
class ExpectedHour:
    """One stream of one site in one hour: what was promised, what the agent got, and what never reached it."""

    site: str
    stream: str
    hour: int
    expected: float
    produced: int
    missing: float


@dataclass(frozen=True, slots=True)
class ExpectedStream:
    """A stream with a promise.

    Attributes:
        silent_since_us: the end of the last hour in which it produced anything, if it is silent for too long.
    """

    site: str
    stream: str
    expectation: Expectation
    silent_s: float
    silent_since_us: int | None


def expectation_of(
    found: Sequence[Expectation], site: str, stream: str, labels: Labels = NO_LABELS
) -> Expectation | None:
    """The promise of a stream: of those that fit the last one says. `labels` are those of its site."""
    fitting = (each for each in reversed(found) if matches(each.streams, stream) and each.is_of(site, labels))
    return next(fitting, None)


def named_streams(found: Sequence[Expectation], sites: Mapping[str, Labels]) -> set[tuple[str, str]]:
    """Site and stream of every promise that names its stream, whether anything was ever heard of it or not.

    `sites` has the labels of each by its name.
    """
    named = [each for each in found if each.names_one_stream]
    return {(site, each.streams) for site, labels in sites.items() for each in named if each.is_of(site, labels)}


def expected_hours(
    site: str, stream: str, expectation: Expectation, produced: Mapping[int, int], hours: range
) -> list[ExpectedHour]:
    """A line for each hour in which something is expected or was produced."""
    lines: list[ExpectedHour] = []
    for hour in hours:
        expected, got = expectation.expected(hour), produced.get(hour, 0)
        if expected or got:
            lines.append(ExpectedHour(site, stream, hour, expected, got, expectation.missing(expected, got)))
    return lines


def standing_of(
    site: str, stream: str, expectation: Expectation, produced: Mapping[int, int], since_hour: int, now_us: int
) -> ExpectedStream:
    """Where a stream stands now.

    Args:
        site: its name.
        stream: its name.
        expectation: its promise.
        produced: records by hour.
        since_hour: the hour before which nothing counts: the site joined then, or no older hours were read.
        now_us: the hub's clock.
    """
    now_hour = now_us // HOUR_US
    last_hour = max((hour for hour, count in produced.items() if count and hour <= now_hour), default=since_hour - 1)
    silent_s = expectation.silent_s(last_hour, now_us)
    is_silent = silent_s >= expectation.allowed_silence_s
    return ExpectedStream(site, stream, expectation, silent_s, (last_hour + 1) * HOUR_US if is_silent else None)
