"""Reads for the pages what they show, once for all who look, and says what has changed of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farshore_hub.audit.found import LossesView, find_losses
from farshore_hub.errors import Unknown
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.sessions import Session
from farshore_hub.ledger.hours import HourLine
from farshore_hub.store.alerts import Asked
from farshore_hub.views import SiteReportView
from farshore_hub.watch.views import AlertView
from farshore_hub.web.pages.address import FleetAddress
from farshore_hub.web.pages.cells import letters
from farshore_hub.web.pages.live import Pieces
from farshore_hub.web.pages.render import html
from farshore_hub.web.pages.shared import Shared
from farshore_hub.web.pages.site_views import SiteAsked, SitePage, site_page
from farshore_hub.web.pages.views import FleetPage, fleet_page, on_page
from farshore_hub.web.services import Services
from farshore_protocol.hours import HOUR_US

_FLEET_PARTS: Final = ("summary", "strip")
_SITE_PARTS: Final = ("state", "balance", "streams", "chart", "gaps", "losses")
_OF_SITE: Final = ("facts", "alerts", "receipts", "forks")
_HOURS: Final = "hours"
_ALERTS: Final = 500
_LOSSES: Final = 500
_PAST: Final = 50
"""Alerts that are shown."""


@dataclass(frozen=True, slots=True)
class SiteData:
    """One site, and the last hours of its streams."""

    report: SiteReportView
    lines: list[HourLine]
    alerts: list[AlertView]
    lost: LossesView


@dataclass(frozen=True, slots=True)
class AlertsPage:
    """What `/alerts` shows; with the session of whoever may acknowledge them."""

    open: list[AlertView]
    past: list[AlertView]
    session: Session | None


class Reading:
    """Reads the fleet and its sites.

    Attributes:
        shared: what was read a moment ago.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._clock = services.fleet.clock
        self.shared = Shared(services.fleet.clock)

    async def streams(self) -> list[str]:
        """The names of all streams."""
        return await self.shared.get("streams", lambda: self._services.run_long(self._services.overview.streams))

    async def fleet(self, address: FleetAddress) -> FleetPage:
        """What the fleet's page shows.

        Raises:
            Invalid, Busy: as their texts say.
        """
        run, stream, hours = self._services.run_long, address.stream, address.hours
        lines = await self.shared.get(("lines", stream), lambda: run(lambda: self._services.overview.lines(stream)))
        if stream is None:
            cells = await self.shared.get(("cells", hours), lambda: run(lambda: self._read_cells(hours)))
        else:
            names = tuple(line.name for line in on_page(lines, address))
            key = ("cells", hours, stream, names)
            cells = await self.shared.get(key, lambda: run(lambda: self._read_stream_cells(names, stream, hours)))
        return fleet_page(address, lines, cells, self._clock.now_us())

    async def site(self, name: str, asked: SiteAsked) -> SitePage:
        """What the page of a site, or of one of its streams, shows.

        Raises:
            Invalid, Unknown, Busy: as their texts say.
        """
        key = ("site", name, asked.hours)
        data = await self.shared.get(key, lambda: self._services.run_long(lambda: self._read_site(name, asked.hours)))
        if asked.stream is not None and all(each.stream != asked.stream for each in data.report.streams):
            raise Unknown(f"nothing was heard of a stream {asked.stream[:80]!r} at {name}")
        return site_page(data.report, asked, data.lines, data.alerts, data.lost, self._clock.now_us())

    async def alerts(self, session: Session) -> AlertsPage:
        """What `/alerts` shows.

        Raises:
            Busy: as its text says.
        """
        desk, run = self._services.desk, self._services.run_long
        found = await self.shared.get("alerts", lambda: run(lambda: desk.listed(Asked(open_only=False, limit=_ALERTS))))
        standing = await self.shared.get("standing", lambda: run(lambda: desk.listed(Asked(limit=_ALERTS))))
        past = [each for each in found if each.cleared_us is not None]
        return AlertsPage(standing, past[:_PAST], session if session.role.covers(Role.OPERATOR) else None)

    def _read_cells(self, hours: int) -> dict[str, str]:
        rows = self._services.reporter.fleet_hours(*self._span(hours))
        return {row.site: letters(row.cells) for row in rows}

    def _read_stream_cells(self, names: tuple[str, ...], stream: str, hours: int) -> dict[str, str]:
        read, span = self._services.reporter.hours, self._span(hours)
        return {name: letters(each.state for each in read(name, *span) if each.stream == stream) for name in names}

    def _read_site(self, name: str, hours: int) -> SiteData:
        lines = self._services.reporter.hours(name, *self._span(hours))
        alerts = self._services.desk.listed(Asked(site=name, limit=_ALERTS))
        lost = find_losses(self._services.fleet.engine, name, limit=_LOSSES)
        return SiteData(self._services.overview.site(name), lines, alerts, lost)

    def _span(self, hours: int) -> tuple[int, int]:
        """The first and the last of the last so many hours; the last one is not over."""
        last = self._clock.now_us() // HOUR_US
        return last - hours + 1, last


def fleet_pieces(page: FleetPage) -> Pieces:
    """The parts of the fleet's page that change."""
    texts = {f"fleet-{part}": html(f"_fleet_{part}.html", page=page) for part in _FLEET_PARTS}
    rows = {row.id: html("_fleet_row.html", row=row) for row in page.rows}
    return Pieces(texts | rows, {"fleet-rows": list(rows)})


def site_pieces(page: SitePage) -> Pieces:
    """The parts of a site's page that change."""
    parts = (*_SITE_PARTS, *((_HOURS,) if page.stream else _OF_SITE))
    return Pieces({f"site-{part}": html(f"_site_{part}.html", page=page) for part in parts})


def alert_pieces(page: AlertsPage) -> Pieces:
    """The parts of the alerts' page that change."""
    return Pieces({f"alerts-{part}": html(f"_alerts_{part}.html", page=page) for part in ("open", "past")})
