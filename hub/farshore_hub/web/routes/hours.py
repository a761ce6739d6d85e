"""Completeness by the hour of event time: of one site's streams, and of the whole fleet at a glance."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from farshore_hub.reports import MAX_SITES
from farshore_hub.views import FleetView, HoursView, HourView
from farshore_hub.web.auth import Viewer
from farshore_hub.web.fields import A_SITE
from farshore_hub.web.problems import responses
from farshore_hub.web.services import Hub
from farshore_protocol.hours import HOUR_US
from farshore_protocol.limits import LATEST_EVENT_US, MAX_NAME_CHARS, MAX_SEQUENCE

router: Final = APIRouter(tags=["records"], dependencies=[Viewer])

_Time = Annotated[int, Field(ge=0, lt=LATEST_EVENT_US)]
From = Annotated[
    _Time | SkipJsonSchema[None],
    Query(alias="from", description="in the first hour, in microseconds since 1970; left out: a day before the last"),
]
To = Annotated[
    _Time | SkipJsonSchema[None],
    Query(
        alias="to", description="in the last hour, in microseconds since 1970; left out: now. At most 32 days are told"
    ),
]
SiteName = Annotated[str, Query(description="the site", max_length=MAX_NAME_CHARS, json_schema_extra=A_SITE)]
Search = Annotated[str, Query(description="a part of the site's name", max_length=MAX_NAME_CHARS)]
Limit = Annotated[int, Query(ge=1, le=MAX_SITES)]
Offset = Annotated[int, Query(ge=0, le=MAX_SEQUENCE)]


@router.get("/v1/completeness/hours", summary="What is complete by the hour", responses=responses(401, 403, 404, 422))
async def get_hours(hub: Hub, site: SiteName, since_us: From = None, until_us: To = None) -> HoursView:
    """Per stream and hour of event time: produced = stored + pending + shed + quarantined + gap."""
    hours = hub.reporter.asked(since_us, until_us)
    lines = await hub.run_long(lambda: hub.reporter.hours(site, hours.start, hours.stop - 1))
    return HoursView(
        from_us=hours.start * HOUR_US,
        to_us=hours.stop * HOUR_US,
        hours=[HourView.model_validate(line) for line in lines],
    )


@router.get("/v1/completeness/fleet", summary="The fleet by the hour", responses=responses(401, 403, 422))
async def get_fleet(
    hub: Hub,
    since_us: From = None,
    until_us: To = None,
    search: Search = "",
    limit: Limit = 100,
    offset: Offset = 0,
) -> FleetView:
    """Per site the worst of its streams, hour by hour."""
    hours = hub.reporter.asked(since_us, until_us)
    return await hub.run_long(lambda: hub.reporter.fleet_view(hours, search=search, limit=limit, offset=offset))
