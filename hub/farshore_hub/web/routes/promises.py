"""What streams and objectives promise, and what became of it."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from farshore_hub.fleet import sites
from farshore_hub.watch.views import ExpectedHourView, ObjectiveView, expected_hour_view, objective_view
from farshore_hub.web.auth import Viewer
from farshore_hub.web.problems import responses
from farshore_hub.web.routes.hours import From, SiteName, To
from farshore_hub.web.services import Hub, Services

router: Final = APIRouter(tags=["alerts"], dependencies=[Viewer])


@router.get("/v1/expectations", summary="Expected and produced by the hour", responses=responses(401, 403, 404, 422))
async def get_expectations(
    hub: Hub, site: SiteName, since_us: From = None, until_us: To = None
) -> list[ExpectedHourView]:
    """Of a site's streams that promise something: what was expected, produced, and never reached the agent."""
    hours = hub.reporter.asked(since_us, until_us)
    return await hub.run_long(lambda: _expected(hub, site, hours))


@router.get("/v1/objectives", summary="Completeness objectives", responses=responses(401, 403))
async def get_objectives(hub: Hub) -> list[ObjectiveView]:
    """Of each: what is met, how much of the error budget is gone, and who burned most of it."""
    return [objective_view(each) for each in await hub.run_long(hub.promises.standings)]


def _expected(hub: Services, site: str, hours: range) -> list[ExpectedHourView]:
    sites.find(hub.fleet, site)
    return [expected_hour_view(line, is_known=is_known) for line, is_known in hub.promises.hours(site, hours)]
