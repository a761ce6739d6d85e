"""What the templates show of one site and of one stream. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from farshore_hub.audit.found import LossesView, LossView
from farshore_hub.ledger.completeness import State
from farshore_hub.ledger.hours import HourLine, base_if_quarantine
from farshore_hub.ledger.standing import Standing
from farshore_hub.views import ArrivalsView, GapView, RepairView, ResendView, SiteReportView, StreamView
from farshore_hub.watch.views import AlertView
from farshore_hub.web.pages.address import SPANS, site_url, stream_url
from farshore_hub.web.pages.cells import WORDS as CELL_WORDS
from farshore_hub.web.pages.cells import Cell, Ribbon, letter, letters, ribbon
from farshore_hub.web.pages.views import WORDS, Choice, first_hour_us, span_words
from farshore_protocol.hours import HOUR_US
from farshore_protocol.ranges import EMPTY, RangeSet

PARTS: Final = ("stored", "pending", "shed", "quarantined", "gap")
PART_WORDS: Final = {
    "stored": "stored",
    "pending": "at the edge",
    "shed": "given up",
    "quarantined": "quarantined",
    "gap": "missing",
}
_STANDING: Final = {
    State.COMPLETE: Standing.COMPLETE,
    State.PENDING: Standing.PENDING,
    State.GAP: Standing.GAP,
    State.UNKNOWN: Standing.UNKNOWN,
}
_CELL_SHAPES: Final = {
    Cell.COMPLETE: "complete",
    Cell.PENDING: "pending",
    Cell.SHED: "shed",
    Cell.GAP: "gap",
    Cell.UNKNOWN: "unknown",
    Cell.NONE: "new",
}
_US_PER_S: Final = 1_000_000
_DAY_US: Final = 24 * HOUR_US
_MAX_GAPS: Final = 100
_SHORT_LIFE: Final = 8

LARGE_OFFSET_US: Final = 60 * _US_PER_S
SOON_US: Final = 3 * _DAY_US
"""A certificate that ends within such a time, and was not renewed, wants a look."""


class Counted(Protocol):
    """Whatever has `produced` and the parts that it is made of."""

    produced: int
    stored: int
    pending: int
    shed: int
    quarantined: int
    gap: int


@dataclass(frozen=True, slots=True)
class Part:
    """One of the numbers that `produced` is made of, and where it lies on a bar of 1000."""

    key: str
    word: str
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream of the site."""

    id: str
    name: str
    url: str
    state: str
    word: str
    hours: Ribbon
    counts: StreamView
    watermark: int | None
    head: int | None


@dataclass(frozen=True, slots=True)
class HourRow:
    """An hour of a stream in numbers."""

    state: str
    word: str
    counts: HourLine


@dataclass(frozen=True, slots=True)
class GapRow:
    """Sequences that are missing, or were, and what is being done about them.

    Attributes:
        repair: wanted, asked, healed or lost.
        at_us: since when, where that is known.
    """

    stream: str
    life: str
    first: int
    last: int
    repair: str
    what: str
    at_us: int | None = None

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known of the site that wants a look if it is not well."""

    is_well: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class SitePage:
    """The page of a site, or of one of its streams where `stream` says which."""

    report: SiteReportView
    stream: str | None
    url: str
    state: str
    word: str
    parts: list[Part]
    produced: int
    streams: list[StreamRow]
    alerts: list[AlertView]
    gaps: list[GapRow]
    gaps_beyond: int
    losses: list[LossView]
    losses_beyond: bool
    hours: int
    spans: list[Choice]
    from_us: int
    until_us: int
    chart: str
    numbers: list[HourRow]
    clock: Fact
    certificate: Fact
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SiteAsked:
    """What the page is asked for: which stream of the site, or all, and over how many hours."""

    stream: str | None
    hours: int


def site_page(
    report: SiteReportView,
    asked: SiteAsked,
    lines: Sequence[HourLine],
    alerts: Sequence[AlertView],
    lost: LossesView,
    now_us: int,
) -> SitePage:
    """What the page of a site shows.

    Args:
        report: everything about the site.
        asked: the stream and the span.
        lines: the hours of that span, for every stream.
        alerts: those of the site that stand.
        lost: what is not stored and not on its way.
        now_us: the hub's clock.
    """
    streams = [each for each in report.streams if asked.stream in {None, each.stream}]
    gaps = [gap for each in streams for gap in each.gaps]
    repairs = [each for each in report.repairs if asked.stream in {None, base_if_quarantine(each.stream)}]
    from_us = first_hour_us(now_us, asked.hours)
    lines = [each for each in lines if asked.stream in {None, each.stream}]
    resends = [each for each in report.resends if asked.stream in {None, base_if_quarantine(each.stream)}]
    losses = [each for each in lost.losses if asked.stream in {None, base_if_quarantine(each.stream)}]
    totals: Counted = report.line if asked.stream is None else streams[0]
    name = report.site.name
    url = site_url(name) if asked.stream is None else stream_url(name, asked.stream)
    standing = report.line.standing if asked.stream is None else _STANDING[streams[0].state]
    return SitePage(
        report=report,
        stream=asked.stream,
        url=url,
        state=standing.value,
        word="revoked" if report.line.is_revoked else WORDS[standing],
        parts=parts_of(totals),
        produced=totals.produced,
        streams=[_stream(report, each, lines) for each in streams],
        alerts=list(alerts),
        gaps=gap_rows(gaps[:_MAX_GAPS], repairs[:_MAX_GAPS], resends),
        gaps_beyond=max(0, len(gaps) - _MAX_GAPS),
        losses=losses[:_MAX_GAPS],
        losses_beyond=len(losses) > _MAX_GAPS or not lost.is_whole,
        hours=asked.hours,
        spans=[Choice(span_words(each), _spanned(url, each), each == asked.hours) for each in SPANS],
        from_us=from_us,
        until_us=from_us + asked.hours * HOUR_US,
        chart=chart_of(_arrived(report.arrivals, asked.stream), lines, totals.pending, from_us, asked.hours),
        numbers=[_numbers(each) for each in reversed(lines) if each.produced] if asked.stream else [],
        clock=_clock(report.site.clock_offset_us),
        certificate=_certificate(report.certificate_ends_us, now_us),
        links={each.stream: stream_url(name, each.stream) for each in report.streams},
    )


def parts_of(counted: Counted) -> list[Part]:
    """What `produced` is made of. What there is some of is seen, however little it is."""
    counts = {key: int(getattr(counted, key)) for key in PARTS}
    widths = _widths([counts[key] for key in PARTS])
    parts, x = [], 0.0
    for key, width in zip(PARTS, widths, strict=True):
        parts.append(Part(key, PART_WORDS[key], counts[key], round(x, 2), round(width, 2)))
        x += width
    return parts


def chart_of(arrived: Mapping[int, int], lines: Sequence[HourLine], pending: int, from_us: int, hours: int) -> str:
    """Flow and backlog for the chart: JSON of seconds since 1970 and counts.

    What waited at the end of an hour is what waits now, without what was produced since and with what came since.

    Args:
        arrived: records that were stored, by the hour of the hub's clock.
        lines: what was produced, by the hour of event time.
        pending: what is at the edge now.
        from_us: when the first hour begins.
        hours: how many there are.
    """
    times = [from_us + at * HOUR_US for at in range(hours)]
    produced: Counter[int] = Counter()
    for line in lines:
        produced[line.hour_us] += line.produced
    waited, backlog = pending, []
    for at in reversed(times):
        backlog.append(max(0, waited))
        waited += arrived.get(at, 0) - produced[at]
    series = [
        {"label": "stored", "values": [arrived.get(at, 0) for at in times]},
        {"label": "produced", "line": True, "values": [produced[at] for at in times]},
        {"label": "backlog", "line": True, "values": backlog[::-1]},
    ]
    return json.dumps({"times": [at // _US_PER_S for at in times], "series": series}, separators=(",", ":"))


_FULL: Final = 1000.0
_LEAST: Final = 8.0


def _widths(counts: list[int]) -> list[float]:
    total = sum(counts)
    if not total:
        return [0.0] * len(counts)
    wanted = [max(_LEAST, _FULL * count / total) if count else 0.0 for count in counts]
    return [each * _FULL / sum(wanted) for each in wanted]


def _arrived(arrivals: Sequence[ArrivalsView], stream: str | None) -> Counter[int]:
    found: Counter[int] = Counter()
    for each in arrivals:
        if stream is None or base_if_quarantine(each.stream) == stream:
            found[each.hour_us] += each.records
    return found


def _numbers(line: HourLine) -> HourRow:
    cell = letter(line.state)
    return HourRow(_CELL_SHAPES[cell], CELL_WORDS[cell], line)


def _stream(report: SiteReportView, line: StreamView, lines: Sequence[HourLine]) -> StreamRow:
    mark = next((each for each in report.watermarks if each.stream == line.stream), None)
    standing = _STANDING[line.state]
    return StreamRow(
        id=f"stream-{line.stream}",
        name=line.stream,
        url=stream_url(report.site.name, line.stream),
        state=standing.value,
        word="revoked" if report.line.is_revoked else WORDS[standing],
        hours=ribbon(letters(each.state for each in lines if each.stream == line.stream)),
        counts=line,
        watermark=mark.watermark if mark else None,
        head=mark.head if mark else None,
    )


_REPAIRS: Final = {
    None: ("wanted", "damaged at the hub; it asks the site for them again"),
    "healed": ("healed", "were damaged at the hub, and are stored again"),
    "lost": ("lost", "were damaged at the hub, and the site has them no more"),
}


def gap_rows(
    gaps: Sequence[GapView], repairs: Sequence[RepairView], resends: Sequence[ResendView] = ()
) -> list[GapRow]:
    """What is missing and what was repaired: what is asked for first, then what nobody has, then what has ended."""
    asked: dict[tuple[str, str], RangeSet] = {}
    for each in repairs:
        if each.outcome is None:
            key = each.stream, each.incarnation
            asked[key] = asked.get(key, EMPTY) | RangeSet(((each.first, each.last),))
    lost = [
        _missing(gap, first, last, resends)
        for gap in gaps
        for first, last in RangeSet(((gap.first, gap.last),)) - asked.get((gap.stream, gap.incarnation), EMPTY)
    ]
    shown = [_repair(each) for each in repairs]
    due = [row for row in [*shown, *lost] if row.repair in _DUE]
    return due + [row for row in lost if row.repair not in _DUE] + [row for row in shown if row.repair not in _DUE]


_DUE: Final = ("wanted", "asked")


def _missing(gap: GapView, first: int, last: int, resends: Sequence[ResendView]) -> GapRow:
    """A gap, and what the site says of it if it was asked; `resends` has the newest first."""
    life = gap.incarnation[:_SHORT_LIFE]
    told = next((each for each in resends if each.stream == gap.stream and each.first <= first <= each.last), None)
    if told is None:
        return GapRow(gap.stream, life, first, last, "lost", "nowhere: nobody has them")
    if told.outcome is None:
        return GapRow(gap.stream, life, first, last, "asked", "nowhere; the site was asked again", told.asked_us)
    said = told.text or f"the question is {told.outcome}"
    what = f"nowhere; asked again, the site says: {said}"
    return GapRow(gap.stream, life, first, last, "lost", what, told.settled_us)


def _repair(each: RepairView) -> GapRow:
    repair, what = _REPAIRS[each.outcome]
    life, at_us = each.incarnation[:_SHORT_LIFE], each.settled_us or each.found_us
    return GapRow(each.stream, life, each.first, each.last, repair, what, at_us)


def _clock(offset_us: int | None) -> Fact:
    if offset_us is None or abs(offset_us) <= LARGE_OFFSET_US:
        return Fact(is_well=True)
    return Fact(is_well=False, note="far from the hub's clock")


def _certificate(ends_us: int | None, now_us: int) -> Fact:
    if ends_us is None or ends_us - now_us > SOON_US:
        return Fact(is_well=True)
    return Fact(is_well=False, note="has ended" if ends_us <= now_us else "ends soon, and was not renewed")


def _spanned(url: str, hours: int) -> str:
    return url if hours == SPANS[0] else f"{url}?hours={hours}"
