"""What the templates show of the fleet: made from what is known of the sites, without reading anything. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from farshore_hub.ledger.standing import SiteLine, Standing, chosen, summary
from farshore_hub.web.pages.address import ROWS, SPANS, FleetAddress, site_url
from farshore_hub.web.pages.cells import Cell, Ribbon, ribbon, tally
from farshore_protocol.hours import HOUR_US

MINUTE_US: Final = 60_000_000

WORDS: Final = {
    Standing.COMPLETE: "complete",
    Standing.PENDING: "at the edge",
    Standing.GAP: "missing",
    Standing.UNKNOWN: "silent",
    Standing.NEW: "not heard yet",
}
"""How a standing is said; `complete` says that everything is here, and nothing less is called so."""

_CHIPS: Final = (Standing.GAP, Standing.UNKNOWN, Standing.PENDING, Standing.NEW, Standing.COMPLETE)


@dataclass(frozen=True, slots=True)
class Chip:
    """One number of the summary, which is a link to the sites that it counts."""

    label: str
    count: int
    state: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several views of the same page."""

    label: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A site of the table."""

    id: str
    name: str
    url: str
    state: str
    word: str
    hours: Ribbon
    gap: int
    pending: int
    shed: int
    heard_us: int | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of an hour's column: outline letter, and where it lies in a box of 100."""

    state: str
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Strip:
    """The whole fleet by the hour: how many sites were not complete.

    Attributes:
        most: the largest such number; what the height of the box stands for.
        said: the strip in words.
    """

    hours: int
    bars: list[Bar]
    most: int
    said: str


@dataclass(frozen=True, slots=True)
class FleetPage:
    """The page `/`.

    Attributes:
        from_us, until_us: the hours that are shown, the last one not ended yet.
        found: sites that were asked for, on all pages.
    """

    address: FleetAddress
    sites: int
    chips: list[Chip]
    spans: list[Choice]
    strip: Strip
    rows: list[FleetRow]
    from_us: int
    until_us: int
    found: int
    first: int
    last: int
    before: str | None
    after: str | None


def on_page(lines: Sequence[SiteLine], address: FleetAddress) -> list[SiteLine]:
    """The sites of one page, in their order."""
    start = (address.page - 1) * ROWS
    return chosen(lines, address.choice)[start : start + ROWS]


def first_hour_us(now_us: int, hours: int) -> int:
    """When the oldest of the last so many hours began; the last one is the one that is not over."""
    return (now_us // HOUR_US + 1 - hours) * HOUR_US


def fleet_page(address: FleetAddress, lines: Sequence[SiteLine], cells: Mapping[str, str], now_us: int) -> FleetPage:
    """What `/` shows.

    Args:
        address: what it was asked for.
        lines: all sites, by the stream that it was asked for.
        cells: by site the letters of its last hours; sites that have none are left out.
        now_us: the hub's clock.
    """
    found = chosen(lines, address.choice)
    start = (address.page - 1) * ROWS
    shown = found[start : start + ROWS]
    from_us = first_hour_us(now_us, address.hours)
    return FleetPage(
        address=address,
        sites=len(lines),
        chips=_chips(address, lines),
        spans=[Choice(span_words(hours), address.over(hours).url, hours == address.hours) for hours in SPANS],
        strip=strip(cells.values(), address.hours),
        rows=[_row(line, cells.get(line.name, "").rjust(address.hours, Cell.NONE)) for line in shown],
        from_us=from_us,
        until_us=from_us + address.hours * HOUR_US,
        found=len(found),
        first=start + 1 if shown else 0,
        last=start + len(shown),
        before=address.at(address.page - 1).url if address.page > 1 else None,
        after=address.at(address.page + 1).url if start + ROWS < len(found) else None,
    )


def span_words(hours: int) -> str:
    """A number of hours in words."""
    return f"{hours} h" if hours <= 48 else f"{hours // 24} days"  # noqa: PLR2004 - two days are 48 h


def strip(rows: Iterable[str], hours: int) -> Strip:
    """Draw how many sites were not complete, hour by hour; what is worst stands at the bottom."""
    columns = tally(rows, hours)
    heights = [sum(column[cell] for cell in _IN_STRIP) for column in columns]
    most = max(heights, default=0)
    bars = [bar for x, column in enumerate(columns) for bar in _column(x, column, most)]
    worst = max(range(hours), key=lambda at: heights[at]) if most else None
    said = "in every hour that is shown, every site that is known is complete"
    if worst is not None:
        said = f"sites that are not complete, by the hour: {most} at most, {hours - 1 - worst} hours ago"
    return Strip(hours, bars, most, said)


_IN_STRIP: Final = (Cell.GAP, Cell.UNKNOWN, Cell.PENDING)


def _column(x: int, column: Counter[str], most: int) -> list[Bar]:
    bars, top = [], 100.0
    for cell in _IN_STRIP:
        if column[cell]:
            height = 100.0 * column[cell] / most
            top -= height
            bars.append(Bar(cell.value, x, round(top, 2), round(height, 2)))
    return bars


def _chips(address: FleetAddress, lines: Sequence[SiteLine]) -> list[Chip]:
    counts = summary(lines).by_standing
    now = address.choice.standing
    everything = Chip("sites", len(lines), "all", address.showing(None).url, now is None)
    # All of them always, also those of which there are none: each stays where it is, under a finger or a focus.
    return [
        everything,
        *(Chip(WORDS[each], counts[each], each.value, address.showing(each).url, now is each) for each in _CHIPS),
    ]


def _row(line: SiteLine, cells: str) -> FleetRow:
    heard_us = line.heard_us // MINUTE_US * MINUTE_US if line.heard_us is not None else None
    word = "revoked" if line.is_revoked and line.standing is Standing.UNKNOWN else WORDS[line.standing]
    return FleetRow(
        id=f"site-{line.name}",
        name=line.name,
        url=site_url(line.name),
        state=line.standing.value,
        word=word,
        hours=ribbon(cells),
        gap=line.gap,
        pending=line.pending,
        shed=line.shed,
        heard_us=heard_us,
    )
