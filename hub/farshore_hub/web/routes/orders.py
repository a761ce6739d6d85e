"""Rollouts and commands for people and scripts."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from farshore_hub.fleet import sites
from farshore_hub.orders.asking import ask_again
from farshore_hub.orders.commands import COMMANDS, MAX_LIFE_S
from farshore_hub.orders.views import AskedView, CommandView, RolloutStoryView, RolloutView
from farshore_hub.reports import check_stream
from farshore_hub.texts.durations import Seconds
from farshore_hub.web.auth import Operator, TokenName, Viewer
from farshore_hub.web.bodies import json_body
from farshore_hub.web.fields import AnySite, AnyStream, Note, Number, SiteInPath
from farshore_hub.web.problems import responses, success
from farshore_hub.web.routes.config import Limit
from farshore_hub.web.services import Hub

router: Final = APIRouter(tags=["steering"])

_READING: Final = (400, 408, 413, 415, 422)
_BINARY: Final = "application/octet-stream"
MAX_SITES: Final = 10_000


class Said(BaseModel):
    """What somebody has to say of what they do."""

    model_config = ConfigDict(extra="forbid")

    note: Note = ""


class NewCommand(BaseModel):
    """A command, to sites by name or to all with some labels."""

    model_config = ConfigDict(extra="forbid")

    sites: list[str] = Field(default=[], max_length=MAX_SITES)
    labels: dict[str, str] = Field(default={}, max_length=64, description="instead of names")
    command: str = Field(max_length=64, description=f"one of {', '.join(COMMANDS)}")
    arguments: dict[str, str] = Field(
        default={}, max_length=16, description="all that the command has; times in seconds"
    )
    expires: Seconds = Field(default=3600, ge=1, le=MAX_LIFE_S, description="not done after this")


@router.get("/v1/rollouts", summary="Rollouts", dependencies=[Viewer], responses=responses(401, 403, 422))
async def get_rollouts(hub: Hub, limit: Limit = 20) -> list[RolloutView]:
    """The newest first."""
    return await hub.run_long(lambda: hub.orders.rollouts.listed(limit))


@router.get(
    "/v1/rollouts/{number}", summary="One rollout", dependencies=[Viewer], responses=responses(401, 403, 404, 422)
)
async def get_rollout(number: Number, hub: Hub) -> RolloutStoryView:
    """With its sites, and who did what."""
    return await hub.run_long(lambda: hub.orders.rollouts.story(number))


@router.post(
    "/v1/rollouts/{number}/pause",
    summary="Pause a rollout",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Said)},
)
async def post_pause(number: Number, request: Request, hub: Hub, by: TokenName) -> RolloutView:
    """No further site is ordered anything."""
    said = await hub.bodies.read_json(request, Said)
    return await hub.run(lambda: hub.orders.rollouts.pause(number, by, said.note))


@router.post(
    "/v1/rollouts/{number}/resume",
    summary="Let a rollout go on",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Said)},
)
async def post_resume(number: Number, request: Request, hub: Hub, by: TokenName) -> RolloutView:
    """One that was paused, or has halted."""
    said = await hub.bodies.read_json(request, Said)
    return await hub.run(lambda: hub.orders.rollouts.resume(number, by, said.note))


@router.post(
    "/v1/rollouts/{number}/advance",
    summary="Go on to the next stage now",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Said)},
)
async def post_advance(number: Number, request: Request, hub: Hub, by: TokenName) -> RolloutView:
    """Whatever this one waits for."""
    said = await hub.bodies.read_json(request, Said)
    return await hub.run(lambda: hub.orders.rollouts.advance(number, by, said.note))


@router.post(
    "/v1/rollouts/{number}/abort",
    summary="End a rollout",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Said)},
)
async def post_abort(number: Number, request: Request, hub: Hub, by: TokenName) -> RolloutView:
    """Sites that have the settings keep them, no other gets them."""
    said = await hub.bodies.read_json(request, Said)
    return await hub.run(lambda: hub.orders.rollouts.abort(number, by, said.note))


@router.post(
    "/v1/sites/{name}/ask",
    summary="Ask a site again for what is missing",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, 422),
)
async def post_site_question(name: SiteInPath, hub: Hub, by: TokenName, stream: AnyStream = None) -> AskedView:
    """Of all its streams or of one, as far as the site did not give it up itself. Its answers stand in its report."""
    if stream is not None:
        check_stream(stream)
    return await hub.run_long(lambda: ask_again(hub.orders.commands, name, stream, by))


@router.get("/v1/commands", summary="Commands", dependencies=[Viewer], responses=responses(401, 403, 404, 422))
async def get_commands(hub: Hub, site: AnySite = None, limit: Limit = 100) -> list[CommandView]:
    """With their answers, the newest first."""
    if site is not None:
        await hub.run(lambda: sites.find(hub.fleet, site))
    return await hub.run(lambda: hub.orders.commands.listed(site, limit))


@router.post(
    "/v1/commands",
    summary="Command sites",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(NewCommand)},
)
async def post_command(request: Request, hub: Hub, by: TokenName) -> list[CommandView]:
    """One for each site; none, unless all of them can be commanded. The answers are asked for by number."""
    new = await hub.bodies.read_json(request, NewCommand)
    wanted = new.sites or (await hub.run_long(lambda: hub.orders.commands.chosen(new.labels)) if new.labels else [])
    return await hub.run_long(lambda: hub.orders.commands.order(wanted, new.command, new.arguments, new.expires, by))


@router.get(
    "/v1/commands/{number}", summary="One command", dependencies=[Viewer], responses=responses(401, 403, 404, 422)
)
async def get_command(number: Number, hub: Hub) -> CommandView:
    """With its answer, once there is one."""
    [found] = await hub.run(lambda: hub.orders.commands.find([number]))
    return found


@router.get(
    "/v1/commands/{number}/data",
    summary="What the answer to a command brought",
    dependencies=[Operator],
    response_class=Response,
    responses=responses(401, 403, 404, 422) | success("such as a support bundle", _BINARY),
)
async def get_command_data(number: Number, hub: Hub) -> Response:
    """Such as a support bundle."""
    return Response(await hub.run(lambda: hub.orders.commands.data(number)), media_type=_BINARY)
