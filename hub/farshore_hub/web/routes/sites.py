"""The fleet for people and scripts: list, add and revoke sites."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, status
from pydantic import BaseModel, ConfigDict, Field

from farshore_hub.fleet import sites
from farshore_hub.texts.durations import Seconds
from farshore_hub.views import SiteView
from farshore_hub.web.auth import Admin, Operator, Viewer
from farshore_hub.web.bodies import json_body
from farshore_hub.web.fields import A_SITE, SiteInPath
from farshore_hub.web.problems import responses
from farshore_hub.web.services import Hub
from farshore_protocol.limits import MAX_NAME_CHARS

router: Final = APIRouter(tags=["fleet"])

DEFAULT_TOKEN_LIFE: Final = "24 h"  # noqa: S105 - a duration
_READING: Final = (400, 408, 413, 415, 422)


class NewToken(BaseModel):
    """How long a join token may be used."""

    model_config = ConfigDict(extra="forbid")

    expires: Seconds = Field(
        default=86_400, description="as in '24 h'", json_schema_extra={"default": DEFAULT_TOKEN_LIFE}
    )


class NewSite(NewToken):
    """A site to be added."""

    name: str = Field(max_length=MAX_NAME_CHARS, json_schema_extra=A_SITE)


class JoinTokenView(BaseModel):
    """A join token, which cannot be shown again."""

    site: str
    token: str


@router.get("/v1/sites", summary="All sites", dependencies=[Viewer], responses=responses(401, 403))
async def get_sites(hub: Hub) -> list[SiteView]:
    """By name, in every state."""
    return [SiteView.model_validate(site) for site in await hub.run(lambda: sites.listing(hub.fleet))]


@router.post(
    "/v1/sites",
    summary="Add a site",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Operator],
    responses=responses(401, 403, 409, *_READING),
    openapi_extra={"requestBody": json_body(NewSite)},
)
async def post_site(request: Request, hub: Hub) -> JoinTokenView:
    """The answer's join token makes whoever has it that site, once."""
    new = await hub.bodies.read_json(request, NewSite)
    return JoinTokenView(site=new.name, token=await hub.run(lambda: sites.add(hub.fleet, new.name, new.expires)))


@router.post(
    "/v1/sites/{name}/token",
    summary="Another join token for a site",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Operator],
    responses=responses(401, 403, 404, *_READING),
    openapi_extra={"requestBody": json_body(NewToken)},
)
async def post_site_token(name: SiteInPath, request: Request, hub: Hub) -> JoinTokenView:
    """For a new machine at a known site, or a site that was revoked. Earlier unused tokens stop working."""
    new = await hub.bodies.read_json(request, NewToken)
    return JoinTokenView(site=name, token=await hub.run(lambda: sites.fresh_token(hub.fleet, name, new.expires)))


@router.post(
    "/v1/sites/{name}/revoke",
    summary="Shut a site out",
    dependencies=[Admin],
    responses=responses(401, 403, 404, 422),
)
async def post_site_revocation(name: SiteInPath, hub: Hub) -> SiteView:
    """At once: its next request is refused. What it has delivered stays."""
    return SiteView.model_validate(await hub.run(lambda: sites.revoke(hub.fleet, name)))
