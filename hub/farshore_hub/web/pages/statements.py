"""The page from which a signed statement of completeness is taken home; a viewer may."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from farshore_hub.audit.statement import make_statement
from farshore_hub.errors import Invalid
from farshore_hub.fleet import sites
from farshore_hub.web.pages.address import site_url
from farshore_hub.web.pages.render import HEADERS, page
from farshore_hub.web.pages.route import PageRoute, frame
from farshore_hub.web.pages.routes import SiteName
from farshore_hub.web.pages.signing import Viewing
from farshore_hub.web.routes.audit import STATEMENT_TYPE
from farshore_hub.web.services import Hub

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)

_DAYS: Final = 30
_US_PER_S: Final = 1_000_000


@router.get("/sites/{name}/statement")
async def get_form(name: SiteName, hub: Hub, session: Viewing) -> HTMLResponse:
    """Over which days."""
    await hub.run(lambda: sites.find(hub.fleet, name))
    until = datetime.fromtimestamp(hub.fleet.clock.now_us() // _US_PER_S, UTC).date() + timedelta(days=1)
    since = until - timedelta(days=_DAYS)
    home = site_url(name)
    return page("statement.html", name=name, site_url=home, since=since, until=until, **frame(session))


@router.get("/sites/{name}/statement.json")
async def get_file(request: Request, name: SiteName, hub: Hub, session: Viewing) -> Response:  # noqa: ARG001 - asked for
    """The statement itself, to be kept byte for byte."""
    since, until = _day(request, "from"), _day(request, "to")
    if until <= since:
        raise Invalid("the period ends before it begins", remedy="give an earlier day as the first")
    raw = await hub.run_long(lambda: make_statement(hub.fleet, name, _us(since), _us(until)))
    place = f'attachment; filename="{name}-{since}-{until}.statement.json"'
    return Response(raw, media_type=STATEMENT_TYPE, headers=HEADERS | {"Content-Disposition": place})


def _day(request: Request, key: str) -> date:
    text = request.query_params.get(key, "")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{key}={text[:40]!r} is not a day", remedy="write it as in 2026-11-01") from None


def _us(day: date) -> int:
    """When a day begins, UTC."""
    return int(datetime.combine(day, time(), UTC).timestamp()) * _US_PER_S
