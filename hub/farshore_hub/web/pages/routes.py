"""The pages that show something: the fleet, a site, a stream of a site, and what has changed of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from farshore_hub.fleet import sessions
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.sessions import Session
from farshore_hub.ledger.standing import Order, Standing
from farshore_hub.web.pages.address import fleet_address, hours_of, site_url
from farshore_hub.web.pages.live import EVENT_STREAM, Pieces, Watch
from farshore_hub.web.pages.reading import alert_pieces, fleet_pieces, site_pieces
from farshore_hub.web.pages.render import HEADERS, page
from farshore_hub.web.pages.route import Page, PageRoute, Pages, frame
from farshore_hub.web.pages.signing import Viewing
from farshore_hub.web.pages.site_views import SiteAsked
from farshore_hub.web.pages.views import WORDS
from farshore_hub.web.routes.audit import audit_state
from farshore_hub.web.services import Hub, Services
from farshore_protocol.limits import MAX_NAME_CHARS

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)

_ORDERS: Final = ((Order.WORST, "worst first"), (Order.NAME, "by name"), (Order.HEARD, "silent longest"))
_MAX_STREAM_CHARS: Final = 127

SiteName = Annotated[str, Path(max_length=MAX_NAME_CHARS)]
StreamName = Annotated[str, Path(max_length=_MAX_STREAM_CHARS)]


@router.get("/")
async def get_fleet(request: Request, session: Viewing, pages: Page) -> HTMLResponse:
    """How all sites stand."""
    address = fleet_address(request.query_params)
    found = await pages.reading.fleet(address)
    pieces = fleet_pieces(found)
    return page(
        "fleet.html",
        page=found,
        pieces=pieces.html,
        streams=await pages.reading.streams(),
        words=[(each.value, WORDS[each]) for each in Standing],
        orders=_ORDERS,
        may_operate=session.role.covers(Role.OPERATOR),
        **frame(session, live=f"/live?{address.query}", shown=pieces.state, current="/"),
    )


@router.get("/sites/{name}")
async def get_site(request: Request, name: SiteName, session: Viewing, pages: Page) -> HTMLResponse:
    """Everything about one site."""
    return await _site_page(pages, session, name, SiteAsked(None, hours_of(request.query_params)))


@router.get("/sites/{name}/streams/{stream}")
async def get_stream(
    request: Request, name: SiteName, stream: StreamName, session: Viewing, pages: Page
) -> HTMLResponse:
    """One stream of one site."""
    return await _site_page(pages, session, name, SiteAsked(stream, hours_of(request.query_params)))


@router.get("/alerts")
async def get_alerts(session: Viewing, pages: Page) -> HTMLResponse:
    """What is wrong, and what was."""
    pieces = alert_pieces(await pages.reading.alerts(session))
    told = frame(session, live="/live/alerts", shown=pieces.state, current="/alerts")
    return page("alerts.html", pieces=pieces.html, **told)


@router.get("/live/alerts")
async def get_live_alerts(request: Request, session: Viewing, pages: Page, hub: Hub) -> StreamingResponse:
    """What changes of them."""

    async def look() -> Pieces:
        return alert_pieces(await pages.reading.alerts(session))

    return told(pages, hub, session, look, shown_before(request))


@router.get("/audit")
async def get_audit(session: Viewing, hub: Hub) -> HTMLResponse:
    """What the audits have found."""
    found = await hub.run(lambda: audit_state(hub))
    return page("audit.html", audit=found, **frame(session, current="/audit"))


@router.get("/live")
async def get_live_fleet(request: Request, session: Viewing, pages: Page, hub: Hub) -> StreamingResponse:
    """What changes of the fleet's page."""
    address = fleet_address(request.query_params)

    async def look() -> Pieces:
        return fleet_pieces(await pages.reading.fleet(address))

    return told(pages, hub, session, look, shown_before(request))


@router.get("/live/sites/{name}")
async def get_live_site(request: Request, name: SiteName, session: Viewing, pages: Page, hub: Hub) -> StreamingResponse:
    """What changes of a site's page."""
    asked = SiteAsked(None, hours_of(request.query_params))
    return told(pages, hub, session, _looking(pages, name, asked), shown_before(request))


@router.get("/live/sites/{name}/streams/{stream}")
async def get_live_stream(
    request: Request, name: SiteName, stream: StreamName, session: Viewing, pages: Page, hub: Hub
) -> StreamingResponse:
    """What changes of a stream's page."""
    asked = SiteAsked(stream, hours_of(request.query_params))
    return told(pages, hub, session, _looking(pages, name, asked), shown_before(request))


async def _site_page(pages: Pages, session: Session, name: str, asked: SiteAsked) -> HTMLResponse:
    found = await pages.reading.site(name, asked)
    pieces = site_pieces(found)
    return page(
        "site.html",
        page=found,
        pieces=pieces.html,
        site_url=site_url(name),
        may_operate=session.role.covers(Role.OPERATOR),
        may_administer=session.role.covers(Role.ADMIN),
        **frame(session, live=f"/live{found.url}?hours={asked.hours}", shown=pieces.state),
    )


def _looking(pages: Pages, name: str, asked: SiteAsked) -> Callable[[], Awaitable[Pieces]]:
    async def look() -> Pieces:
        return site_pieces(await pages.reading.site(name, asked))

    return look


def shown_before(request: Request) -> str:
    """The state that the browser has: what its last event brought, or what it was given with the page."""
    return request.headers.get("last-event-id") or request.query_params.get("shown", "")


def told(
    pages: Pages, hub: Services, session: Session, look: Callable[[], Awaitable[Pieces]], shown: str
) -> StreamingResponse:
    """What changes of a page, as long as the session lasts."""

    async def allowed() -> object:
        return await hub.run(lambda: sessions.session_of(hub.fleet, session.secret))

    events = pages.live.events(Watch(session.name, look, allowed, shown))
    return StreamingResponse(events, media_type=EVENT_STREAM, headers=HEADERS | {"X-Accel-Buffering": "no"})
