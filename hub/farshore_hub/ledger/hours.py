"""What can be said of a stream in one hour of event time, and of a site. Pure.

Per site, stream and hour `produced = stored + pending + shed + quarantined + gap`, and the hours of a stream add up to
its account. `produced` is what the site says, counted when each record got its sequence; `stored` is what the batches
hold; so an hour is complete when two counts that were made apart agree.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from farshore_protocol.hours import HOUR_US
from farshore_protocol.names import QUARANTINE, base_of, companion_of

HOURS_PER_DAY: Final = 24


class HourState(enum.StrEnum):
    """What can be said of an hour."""

    EMPTY = "empty"
    """The site says that it produced nothing."""
    COMPLETE = "complete"
    """Everything that the site produced is stored or quarantined."""
    SHED = "shed"
    """Some of it was given up at the edge, with a receipt; the rest is stored."""
    PENDING = "pending"
    """Some of it is still at the edge, or has arrived and is not counted yet."""
    UNKNOWN = "unknown"
    """The site has not spoken of the hour, or not for too long; never complete."""
    GAP = "gap"
    """Some of it is nowhere."""


STATES: Final = tuple(HourState)
"""In the order of how bad they are; what a byte of `site_days.states` means."""


@dataclass(frozen=True, slots=True)
class HourCounts:
    """The records of one hour: `pending` is what is left of what was produced."""

    produced: int = 0
    stored: int = 0
    shed: int = 0
    gap: int = 0

    @property
    def pending(self) -> int:
        """At the edge, or at the hub and not counted yet."""
        return self.produced - self.stored - self.shed - self.gap

    @property
    def state(self) -> HourState:
        """What the counts say."""
        return state_of(self.produced, self.stored, self.shed, self.gap)


def state_of(produced: int, stored: int, shed: int, gap: int) -> HourState:
    """What counts say of an hour."""
    if gap:
        return HourState.GAP
    if produced > stored + shed:
        return HourState.PENDING
    if shed:
        return HourState.SHED
    return HourState.COMPLETE if produced else HourState.EMPTY


@dataclass(frozen=True, slots=True)
class HourLine:
    """One stream of one site in one hour, which is counted from 1970, UTC.

    Attributes:
        pending: at the edge by the site's last statement, or arrived and not counted by the hour yet.
        gap: nowhere. The hub never saw these records: their hours are those in which the site says that so many are
            missing, between the hours of the records before and after.
    """

    site: str
    stream: str
    hour: int
    produced: int
    stored: int
    pending: int
    shed: int
    quarantined: int
    gap: int
    state: HourState

    @property
    def hour_us(self) -> int:
        """When the hour begins, in microseconds since 1970."""
        return self.hour * HOUR_US


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One site over some hours.

    Attributes:
        cells: the worst of its streams, hour by hour.
        produced, stored: records of the days that these hours lie in.
    """

    site: str
    cells: tuple[HourState, ...]
    produced: int
    stored: int


@dataclass(frozen=True, slots=True)
class SiteKnowledge:
    """What it takes to say from when on nothing is known of a site.

    Attributes:
        heard_us: when it was heard last, by the hub's clock; None for never.
        silent: that is too long ago, or it is revoked.
    """

    heard_us: int | None
    silent: bool

    @property
    def unknown_from(self) -> int:
        """The first hour that the site has not spoken of; of one that is silent it may have said half."""
        if self.heard_us is None:
            return 0
        return self.heard_us // HOUR_US + (0 if self.silent else 1)


def knowledge(heard_us: int | None, *, revoked: bool, now_us: int, silent_after_us: int) -> SiteKnowledge:
    """What is known of a site now."""
    silent = revoked or heard_us is None or now_us - heard_us > silent_after_us
    return SiteKnowledge(heard_us, silent)


def seen(state: HourState, hour: int, unknown_from: int) -> HourState:
    """The state of an hour as it may be shown. A gap is named even when the site is silent."""
    return HourState.UNKNOWN if hour >= unknown_from and state is not HourState.GAP else state


def hour_lines(
    site: str,
    counts: Mapping[tuple[str, int], HourCounts],
    unknown_from: Mapping[str, int],
    hours: range,
) -> list[HourLine]:
    """A line for each stream and hour, in this order.

    Args:
        site: its name.
        counts: by stream (companions for themselves) and hour.
        unknown_from: by stream, from which hour on nothing is known; names every stream of the site.
        hours: which hours are asked for.
    """
    streams: dict[str, list[str]] = {}
    for stream in unknown_from:
        streams.setdefault(base_if_quarantine(stream), []).append(stream)
    return [_line(site, base, streams[base], hour, counts, unknown_from) for base in sorted(streams) for hour in hours]


def base_if_quarantine(stream: str) -> str:
    """The stream that a line is about: what was refused at a stream's door counts as that stream's."""
    base = base_of(stream)
    return base if stream == companion_of(base, QUARANTINE) else stream


def _line(
    site: str,
    base: str,
    streams: Iterable[str],
    hour: int,
    counts: Mapping[tuple[str, int], HourCounts],
    unknown_from: Mapping[str, int],
) -> HourLine:
    produced = stored = shed = quarantined = gap = 0
    for stream in streams:
        of = counts.get((stream, hour), _NOTHING)
        produced, shed, gap = produced + of.produced, shed + of.shed, gap + of.gap
        if stream == base:
            stored += of.stored
        else:
            quarantined += of.stored
    state = seen(state_of(produced, stored + quarantined, shed, gap), hour, min(unknown_from[each] for each in streams))
    pending = produced - stored - quarantined - shed - gap
    return HourLine(site, base, hour, produced, stored, pending, shed, quarantined, gap, state)


_NOTHING: Final = HourCounts()
