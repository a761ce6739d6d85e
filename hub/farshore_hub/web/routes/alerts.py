"""Alerts for people and scripts: list and show them, acknowledge, silence, declare maintenance."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic.json_schema import SkipJsonSchema

from farshore_hub.alerts.kinds import Kind
from farshore_hub.expect.patterns import MAX_CHARS, PATTERN
from farshore_hub.fleet import sites
from farshore_hub.store.alerts import Asked
from farshore_hub.texts.durations import Seconds
from farshore_hub.watch.desk import MAX_ID
from farshore_hub.watch.views import AlertStoryView, AlertView, MaintenanceView, SilenceView
from farshore_hub.web.auth import Operator, TokenName, Viewer
from farshore_hub.web.bodies import json_body
from farshore_hub.web.fields import AnySite, Note, Number
from farshore_hub.web.problems import responses
from farshore_hub.web.services import Hub
from farshore_protocol.limits import LATEST_EVENT_US

router: Final = APIRouter(tags=["alerts"])

MAX_ALERTS: Final = 1000
_READING: Final = (400, 408, 413, 415, 422)
_US_PER_S: Final = 1_000_000

SitePattern = Annotated[
    str, Field(max_length=MAX_CHARS, json_schema_extra={"pattern": PATTERN}, description="as in 'pump-*'")
]

InlineKind = Annotated[Kind, WithJsonSchema({"type": "string", "enum": [str(kind) for kind in Kind]})]
"""A body's description stands alone and can refer to nothing."""


class Acknowledgement(BaseModel):
    """What whoever takes care has to say."""

    model_config = ConfigDict(extra="forbid")

    note: Note = ""


class NewSilence(BaseModel):
    """Which alerts are not to be told, and for how long."""

    model_config = ConfigDict(extra="forbid")

    kind: InlineKind | None = Field(default=None, description="null: every kind")
    sites: SitePattern = "*"
    streams: SitePattern = "*"
    lasts: Seconds = Field(description="as in '2 h'")
    reason: Note = ""


class NewMaintenance(BaseModel):
    """When sites are worked on."""

    model_config = ConfigDict(extra="forbid")

    sites: SitePattern
    from_us: int | None = Field(
        default=None, ge=0, lt=LATEST_EVENT_US, description="microseconds since 1970; null: now"
    )
    lasts: Seconds = Field(description="as in '4 h'")
    reason: Note = ""

    @field_validator("from_us", mode="before")
    @classmethod
    def _check_number(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("true and false are no times")  # noqa: TRY004 - what pydantic takes for a fault
        return value


class Ended(BaseModel):
    """It is over."""

    id: int


AnyKind = Annotated[Kind | SkipJsonSchema[None], Query(description="only of this kind")]
_Number = Annotated[int, Field(ge=1, le=MAX_ID)]
Before = Annotated[_Number | SkipJsonSchema[None], Query(description="only older ones: numbers below")]
Cleared = Annotated[bool, Query(description="those that are over, too")]
Limit = Annotated[int, Query(ge=1, le=MAX_ALERTS)]


@router.get(
    "/v1/alerts", summary="Alerts, the newest first", dependencies=[Viewer], responses=responses(401, 403, 404, 422)
)
async def get_alerts(
    hub: Hub,
    kind: AnyKind = None,
    site: AnySite = None,
    before: Before = None,
    cleared: Cleared = False,  # noqa: FBT002 - FastAPI's way
    limit: Limit = MAX_ALERTS,
) -> list[AlertView]:
    """Those that stand; with `cleared` the history too, page by page by `before`."""
    if site is not None:
        await hub.run(lambda: sites.find(hub.fleet, site))
    asked = Asked(kind, site, not cleared, before, limit)
    return await hub.run_long(lambda: hub.desk.listed(asked))


@router.get("/v1/alerts/{number}", summary="One alert", dependencies=[Viewer], responses=responses(401, 403, 404, 422))
async def get_alert(number: Number, hub: Hub) -> AlertStoryView:
    """With its history."""
    return await hub.run(lambda: hub.desk.story(number))


@router.post(
    "/v1/alerts/{number}/acknowledge",
    summary="Take care of an alert",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Acknowledgement)},
)
async def post_acknowledgement(number: Number, request: Request, hub: Hub, by: TokenName) -> AlertView:
    """Under the name of the token."""
    said = await hub.bodies.read_json(request, Acknowledgement)
    return await hub.run(lambda: hub.desk.acknowledge(number, by, said.note))


@router.get("/v1/silences", summary="Silences", dependencies=[Viewer], responses=responses(401, 403))
async def get_silences(hub: Hub) -> list[SilenceView]:
    """Those that are not over."""
    return await hub.run(hub.desk.silences)


@router.post(
    "/v1/silences",
    summary="Silence alerts",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Operator],
    responses=responses(401, 403, *_READING),
    openapi_extra={"requestBody": json_body(NewSilence)},
)
async def post_silence(request: Request, hub: Hub, by: TokenName) -> SilenceView:
    """From now on: they stand, and nobody is told."""
    new = await hub.bodies.read_json(request, NewSilence)
    return await hub.run(lambda: hub.desk.silence(new.kind, new.sites, new.streams, new.lasts, new.reason, by))


@router.post(
    "/v1/silences/{number}/end",
    summary="End a silence",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 422),
)
async def post_silence_end(number: Number, hub: Hub) -> Ended:
    """What still stands is told at the next look."""
    await hub.run(lambda: hub.desk.end_silence(number))
    return Ended(id=number)


@router.get(
    "/v1/maintenance", summary="Declared maintenance", dependencies=[Viewer], responses=responses(401, 403, 422)
)
async def get_maintenance(
    hub: Hub,
    past: Annotated[bool, Query(description="what is over, too")] = False,  # noqa: FBT002 - FastAPI's way
) -> list[MaintenanceView]:
    """What is not over."""
    return await hub.run(lambda: hub.desk.maintenances(all_of_them=past))


@router.post(
    "/v1/maintenance",
    summary="Declare maintenance",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Operator],
    responses=responses(401, 403, *_READING),
    openapi_extra={"requestBody": json_body(NewMaintenance)},
)
async def post_maintenance(request: Request, hub: Hub, by: TokenName) -> MaintenanceView:
    """Silence that it explains is not told, and its hours burn no error budget. A loss is told all the same."""
    new = await hub.bodies.read_json(request, NewMaintenance)
    from_us = hub.fleet.clock.now_us() if new.from_us is None else new.from_us
    until_us = from_us + new.lasts * _US_PER_S
    return await hub.run(lambda: hub.desk.maintain(new.sites, from_us, until_us, new.reason, by))


@router.post(
    "/v1/maintenance/{number}/end",
    summary="End maintenance",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 422),
)
async def post_maintenance_end(number: Number, hub: Hub) -> Ended:
    """Now."""
    await hub.run(lambda: hub.desk.end_maintenance(number))
    return Ended(id=number)
