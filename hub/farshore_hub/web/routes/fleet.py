"""How the fleet stands, and everything about one site: what the page shows, for scripts."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic.json_schema import SkipJsonSchema

from farshore_hub.ledger.standing import Choice, Order, Standing
from farshore_hub.views import SiteReportView, StandingsView
from farshore_hub.web.auth import Viewer
from farshore_hub.web.fields import AnyStream, SiteInPath
from farshore_hub.web.problems import responses
from farshore_hub.web.services import Hub
from farshore_protocol.limits import MAX_NAME_CHARS

router: Final = APIRouter(tags=["fleet"], dependencies=[Viewer])

MAX_SITES: Final = 1000
"""Of one answer."""

Search = Annotated[str, Query(description="a part of the name", max_length=MAX_NAME_CHARS)]
Stands = Annotated[Standing | SkipJsonSchema[None], Query(description="only sites that stand so")]
Silent = Annotated[bool, Query(description="only sites that are silent")]
Sorted = Annotated[Order, Query(description="what comes first")]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Limit = Annotated[int, Query(ge=1, le=MAX_SITES)]


@router.get("/v1/fleet", summary="How the sites stand", responses=responses(401, 403, 422))
async def get_standings(
    hub: Hub,
    search: Search = "",
    standing: Stands = None,
    silent: Silent = False,  # noqa: FBT002 - FastAPI's way
    stream: AnyStream = None,
    sort: Sorted = Order.WORST,
    offset: Offset = 0,
    limit: Limit = 100,
) -> StandingsView:
    """A line per site, the worst first, and the whole fleet in numbers."""
    choice = Choice(search, standing, silent, sort)
    return await hub.run_long(lambda: hub.overview.report(choice, stream, offset=offset, limit=limit))


@router.get("/v1/sites/{name}", summary="Everything about a site", responses=responses(401, 403, 404, 422))
async def get_site(name: SiteInPath, hub: Hub) -> SiteReportView:
    """Streams, watermarks, receipts, gaps, forks, and what came when."""
    return await hub.run_long(lambda: hub.overview.site(name))
