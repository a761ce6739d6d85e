"""What the fleet's page is asked for, as it stands in its URL: so a view of the fleet can be kept and sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from farshore_hub.errors import Invalid
from farshore_hub.ledger.standing import Choice, Order, Standing
from farshore_hub.reports import check_stream
from farshore_protocol.limits import MAX_NAME_CHARS

SPANS: Final = (24, 48, 168)
"""Hours that the page can show."""

ROWS: Final = 100
"""Sites on one page."""

_MAX_PAGE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FleetAddress:
    """One view of the fleet.

    Attributes:
        choice: which sites, in which order.
        stream: judged by this stream alone.
        hours: how many of the last hours are shown.
        page: from 1.
    """

    choice: Choice = field(default_factory=Choice)
    stream: str | None = None
    hours: int = SPANS[0]
    page: int = 1

    @property
    def query(self) -> str:
        """The query part of the URL: what differs from a plain look at the fleet."""
        choice = self.choice
        asked = {
            "search": choice.search,
            "standing": choice.standing or "",
            "silent": "1" if choice.silent else "",
            "stream": self.stream or "",
            "sort": choice.order if choice.order is not Order.WORST else "",
            "hours": self.hours if self.hours != SPANS[0] else "",
            "page": self.page if self.page > 1 else "",
        }
        return urlencode({name: str(value) for name, value in asked.items() if value})

    @property
    def url(self) -> str:
        """Where this view is."""
        return f"/?{self.query}" if self.query else "/"

    def showing(self, standing: Standing | None, *, silent: bool = False) -> FleetAddress:
        """The same view of those sites only, from its first page."""
        return replace(self, choice=replace(self.choice, standing=standing, silent=silent), page=1)

    def over(self, hours: int) -> FleetAddress:
        """The same view over so many hours."""
        return replace(self, hours=hours)

    def at(self, page: int) -> FleetAddress:
        """Another page of it."""
        return replace(self, page=page)


def fleet_address(query: Mapping[str, str]) -> FleetAddress:
    """Read the query part of a URL. What is not known is left alone; what is wrong is said.

    Raises:
        Invalid: a value is none that the page knows.
    """
    search = query.get("search", "").strip()
    if len(search) > MAX_NAME_CHARS:
        raise Invalid(f"what is searched for has at most {MAX_NAME_CHARS} characters")
    stream = query.get("stream", "").strip()
    standing = query.get("standing", "")
    choice = Choice(
        search=search,
        standing=_one_of(Standing, standing, "standing") if standing else None,
        silent=query.get("silent", "") == "1",
        order=_one_of(Order, query.get("sort") or Order.WORST, "sort"),
    )
    return FleetAddress(choice, check_stream(stream) if stream else None, _hours(query), _page(query))


def site_url(name: str) -> str:
    """Where a site's page is."""
    return f"/sites/{quote(name, safe='')}"


def stream_url(site: str, stream: str) -> str:
    """Where the page of a site's stream is."""
    return f"{site_url(site)}/streams/{quote(stream, safe='')}"


def hours_of(query: Mapping[str, str]) -> int:
    """How many hours are shown, of a page that has no other choice.

    Raises:
        Invalid: it is none that the page knows.
    """
    return _hours(query)


def page_of(query: Mapping[str, str]) -> int:
    """Which page of several it is, from 1.

    Raises:
        Invalid: it is no number of a page.
    """
    return _page(query)


def _one_of(kind: Any, text: str, name: str) -> Any:  # noqa: ANN401 - an enumeration and its member
    try:
        return kind(text)
    except ValueError:
        raise Invalid(f"{name}={text[:40]!r} is not one of {', '.join(kind)}") from None


def _hours(query: Mapping[str, str]) -> int:
    text = query.get("hours") or str(SPANS[0])
    if text not in map(str, SPANS):
        raise Invalid(f"hours={text[:40]!r} is not one of {', '.join(map(str, SPANS))}")
    return int(text)


def _page(query: Mapping[str, str]) -> int:
    text = query.get("page") or "1"
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= _MAX_PAGE:
        raise Invalid(f"page={text[:40]!r} is not the number of a page")
    return int(text[:9])
