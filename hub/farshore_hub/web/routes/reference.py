"""Tables that the hub itself fills: define them, load their rows."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from farshore_hub.merge.definition import MAX_COLUMN_CHARS
from farshore_hub.merge.types import Type
from farshore_hub.merged.row import By
from farshore_hub.merged.views import LoadedView, TableView
from farshore_hub.web.auth import Operator, TokenName
from farshore_hub.web.bodies import json_body
from farshore_hub.web.fields import Note
from farshore_hub.web.problems import responses
from farshore_hub.web.routes.tables import MAX_KEY_COLUMNS, Name
from farshore_hub.web.services import Hub
from farshore_protocol.limits import MIB

router: Final = APIRouter(tags=["tables"])

MAX_LOAD_BYTES: Final = 4 * MIB
_MAX_COLUMNS: Final = 1_000
_READING: Final = (400, 408, 413, 415, 422)


_Column = Annotated[str, Field(min_length=1, max_length=MAX_COLUMN_CHARS)]
_Type = Literal["integer", "real", "text", "bytes", "any"]


class Definition(BaseModel):
    """What a table is to look like."""

    model_config = ConfigDict(extra="forbid")

    key: dict[_Column, _Type] = Field(
        min_length=1, max_length=MAX_KEY_COLUMNS, description="the type of each column of the key, in their order"
    )
    columns: dict[_Column, _Type] = Field(
        default_factory=dict, max_length=_MAX_COLUMNS, description="that of each other one"
    )


class Load(BaseModel):
    """Rows that a table is to have."""

    model_config = ConfigDict(extra="forbid")

    rows: list[dict[str, Any]] = Field(description="each with its key and some cells, by the names of their columns")
    replace: bool = Field(default=False, description="rows that are not among them are deleted")
    reason: Note = ""


@router.post(
    "/v1/tables/{name}/define",
    summary="Define a table at the hub",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Definition)},
)
async def post_definition(name: Name, request: Request, hub: Hub, by: TokenName) -> TableView:
    """Without any site that has it; one that is there gets the columns that it lacks."""
    said = await hub.bodies.read_json(request, Definition)
    return await hub.run_long(lambda: _defined(name, said, hub, By(by)))


@router.post(
    "/v1/tables/{name}/load",
    summary="Write many rows",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Load)},
)
async def post_load(name: Name, request: Request, hub: Hub, by: TokenName) -> LoadedView:
    """All or none, under the name of the token; only what differs is written, and travels."""
    said = await hub.bodies.read_json(request, Load, MAX_LOAD_BYTES)
    desk = hub.tables.reference
    return await hub.run_long(lambda: desk.load(name, said.rows, By(by, said.reason), replace=said.replace))


def _defined(name: str, said: Definition, hub: Hub, by: By) -> TableView:
    key, cells = ({column: Type(type_) for column, type_ in each.items()} for each in (said.key, said.columns))
    hub.tables.reference.define(name, key, cells, by)
    return next(each for each in hub.tables.tables() if each.name == name)
