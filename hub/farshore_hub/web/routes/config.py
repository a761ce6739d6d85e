"""The fleet's configuration for people and scripts: look, compare, apply, go back; labels and secrets."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field

from farshore_hub.fleet import labels, sites
from farshore_hub.orders.config import preview_view
from farshore_hub.orders.layers import MAX_ALL_CHARS, MAX_FILES
from farshore_hub.orders.rollout import MAX_STAGES, Strategy
from farshore_hub.orders.secrets import MAX_CHARS, NAME_PATTERN
from farshore_hub.orders.strategies import strategy_from
from farshore_hub.orders.views import (
    AppliedView,
    DeedView,
    PreviewView,
    RevisionView,
    SecretView,
    SiteConfigView,
    SteeringView,
)
from farshore_hub.texts.durations import Seconds
from farshore_hub.web.auth import Operator, TokenName, Viewer
from farshore_hub.web.bodies import json_body
from farshore_hub.web.fields import Note, Number, SiteInPath
from farshore_hub.web.problems import responses
from farshore_hub.web.services import Hub

router: Final = APIRouter(tags=["steering"])

_READING: Final = (400, 408, 413, 415, 422)
_MAX_FILES_BYTES: Final = 2 * MAX_ALL_CHARS
_MAX_DAY_S: Final = 30 * 86_400

Limit = Annotated[int, Query(ge=1, le=1000)]
Files = Annotated[dict[str, str], Field(max_length=MAX_FILES, description="path in the folder to TOML text")]


_SHARE: Final = r"^([1-9][0-9]{0,8}|[1-9][0-9]?%|100%)$"
_Sites = Annotated[int, Field(ge=1, le=999_999_999, strict=True)] | None


class How(BaseModel):
    """How a revision is rolled out."""

    model_config = ConfigDict(extra="forbid")

    canary: _Sites = Field(default=None, description="sites of a first stage")
    then: list[Annotated[str, Field(pattern=_SHARE)]] = Field(
        default=["100%"], max_length=MAX_STAGES - 2, description="the stages after it: a number of sites or a share"
    )
    soak: Seconds = Field(default=0, le=_MAX_DAY_S, description="for so long all must be well before the next")
    halt_failed: _Sites = Field(default=1, description="stop when so many refused it or rolled it back; null: never")
    halt_silent: _Sites = Field(default=None, description="stop when so many fell silent after the order")
    halt_gaps: _Sites = Field(default=None, description="stop when so many miss records that were not missing before")
    silent_after: Seconds = Field(default=900, le=_MAX_DAY_S, description="a site is away after this")
    again: bool = Field(default=False, strict=True, description="also where the very same was refused or rolled back")
    skip_invalid: bool = Field(default=False, strict=True, description="leave out sites that would refuse it")
    note: Note = ""

    def strategy(self) -> Strategy:
        """The strategy.

        Raises:
            Invalid: it makes no sense.
        """
        halts = {"failed": self.halt_failed, "silent": self.halt_silent, "gaps": self.halt_gaps}
        halt_on = [f"{name}={count}" for name, count in halts.items() if count is not None]
        return strategy_from(self.canary, ",".join(self.then), self.soak, halt_on, self.silent_after, again=self.again)


class NewConfig(How):
    """A folder of layers, and how it is rolled out."""

    files: Files


class Layered(BaseModel):
    """A folder of layers."""

    model_config = ConfigDict(extra="forbid")

    files: Files


_Key = Annotated[str, Field(pattern=f"^{labels.KEY_PATTERN}$")]
_Value = Annotated[str, Field(pattern=f"^{labels.VALUE_PATTERN}$")]


class LabelChange(BaseModel):
    """Labels that are set, and those that are taken away."""

    model_config = ConfigDict(extra="forbid")

    set: dict[_Key, _Value] = Field(default={}, max_length=labels.MAX_LABELS)
    unset: list[_Key] = Field(default=[], max_length=labels.MAX_LABELS)


class NewSecret(BaseModel):
    """A secret. It is never shown again."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    value: str = Field(min_length=1, max_length=MAX_CHARS)


class SecretSet(BaseModel):
    """How often it was set."""

    name: str
    version: int


class SecretDeleted(BaseModel):
    """It is forgotten."""

    name: str


@router.get(
    "/v1/steering", summary="The fleet, desired against reported", dependencies=[Viewer], responses=responses(401, 403)
)
async def get_steering(hub: Hub) -> SteeringView:
    """Every site with the version of its agent, and the rollout that is not over."""
    return await hub.run_long(hub.orders.steered.report)


@router.get("/v1/steering/deeds", summary="Who did what", dependencies=[Viewer], responses=responses(401, 403, 422))
async def get_deeds(hub: Hub, limit: Limit = 100) -> list[DeedView]:
    """With configuration, rollouts, commands, labels and secrets; the newest first."""
    return await hub.run(lambda: hub.orders.steered.deeds(limit))


@router.get("/v1/config/revisions", summary="Revisions", dependencies=[Viewer], responses=responses(401, 403, 422))
async def get_revisions(hub: Hub, limit: Limit = 100) -> list[RevisionView]:
    """The newest first."""
    return [RevisionView.model_validate(each) for each in await hub.run(lambda: hub.orders.config.history(limit))]


@router.get(
    "/v1/config/revisions/{number}",
    summary="The files of a revision",
    dependencies=[Viewer],
    responses=responses(401, 403, 404, 422),
)
async def get_revision(number: Number, hub: Hub) -> dict[str, str]:
    """Path to text."""
    return await hub.run(lambda: hub.orders.config.files(number))


@router.post(
    "/v1/config/preview",
    summary="What files would change",
    dependencies=[Operator],
    responses=responses(401, 403, 409, *_READING),
    openapi_extra={"requestBody": json_body(Layered)},
)
async def post_preview(request: Request, hub: Hub) -> PreviewView:
    """And what stands against them. Nothing is changed."""
    given = await hub.bodies.read_json(request, Layered, _MAX_FILES_BYTES)
    return preview_view(await hub.run_long(lambda: hub.orders.config.preview(given.files)))


@router.post(
    "/v1/config",
    summary="Apply files",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Operator],
    responses=responses(401, 403, 409, *_READING),
    openapi_extra={"requestBody": json_body(NewConfig)},
)
async def post_config(request: Request, hub: Hub, by: TokenName) -> AppliedView:
    """They become a revision, which is rolled out."""
    new = await hub.bodies.read_json(request, NewConfig, _MAX_FILES_BYTES)
    return await _applied(hub, new.files, new, new.note, by)


@router.post(
    "/v1/config/revisions/{number}/apply",
    summary="Go back to a revision",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(How)},
)
async def post_rollback(number: Number, request: Request, hub: Hub, by: TokenName) -> AppliedView:
    """Its files become the newest revision. Labels and secrets are those of now."""
    how = await hub.bodies.read_json(request, How)
    files = await hub.run(lambda: hub.orders.config.files(number))
    return await _applied(hub, files, how, how.note or f"back to revision {number}", by)


@router.get(
    "/v1/sites/{name}/config",
    summary="The settings that a site is to have",
    dependencies=[Viewer],
    responses=responses(401, 403, 404, 422),
)
async def get_site_config(name: SiteInPath, hub: Hub) -> SiteConfigView:
    """And what it says of them. Secrets are shown as their names."""
    await hub.run(lambda: sites.find(hub.fleet, name))
    return await hub.run_long(lambda: hub.orders.steered.site(name))


@router.get(
    "/v1/sites/{name}/labels",
    summary="The labels of a site",
    dependencies=[Viewer],
    responses=responses(401, 403, 404, 422),
)
async def get_labels(name: SiteInPath, hub: Hub) -> dict[str, str]:
    """By key."""
    return await hub.run(lambda: labels.of_site(hub.fleet, name))


@router.post(
    "/v1/sites/{name}/labels",
    summary="Label a site",
    dependencies=[Operator],
    responses=responses(401, 403, 404, *_READING),
    openapi_extra={"requestBody": json_body(LabelChange)},
)
async def post_labels(name: SiteInPath, request: Request, hub: Hub, by: TokenName) -> dict[str, str]:
    """The answer has all that it has then. Settings follow when files are applied."""
    new = await hub.bodies.read_json(request, LabelChange)
    return await hub.run(lambda: labels.change(hub.fleet, name, new.set, new.unset, by))


@router.get("/v1/secrets", summary="Names of secrets", dependencies=[Viewer], responses=responses(401, 403))
async def get_secrets(hub: Hub) -> list[SecretView]:
    """Never their values."""
    return [SecretView.model_validate(each) for each in await hub.run(hub.orders.secrets.listing)]


@router.post(
    "/v1/secrets",
    summary="Set a secret",
    dependencies=[Operator],
    responses=responses(401, 403, *_READING),
    openapi_extra={"requestBody": json_body(NewSecret)},
)
async def post_secret(request: Request, hub: Hub, by: TokenName) -> SecretSet:
    """It comes to the sites that name it when files are applied."""
    new = await hub.bodies.read_json(request, NewSecret)
    version = await hub.run(lambda: hub.orders.secrets.set(new.name, new.value, by))
    return SecretSet(name=new.name, version=version)


@router.post(
    "/v1/secrets/{secret}/delete",
    summary="Forget a secret",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 422),
)
async def post_secret_deletion(secret: Annotated[str, Path(max_length=63)], hub: Hub, by: TokenName) -> SecretDeleted:
    """What sites have of it stays there until they get other settings."""
    await hub.run(lambda: hub.orders.secrets.delete(secret, by))
    return SecretDeleted(name=secret)


async def _applied(hub: Hub, files: dict[str, str], how: How, note: str, by: str) -> AppliedView:
    strategy = how.strategy()
    applied = await hub.run_long(
        lambda: hub.orders.config.apply(files, strategy, by, note, skip_invalid=how.skip_invalid)
    )
    return AppliedView.model_validate(applied)
