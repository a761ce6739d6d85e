"""Merged tables for people and scripts: what is in them, and the hub's own changes of them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.json_schema import SkipJsonSchema

from farshore_hub.fleet import sites
from farshore_hub.merged.row import By
from farshore_hub.merged.views import ConflictView, EditedView, EditView, TableView
from farshore_hub.store.merge import AskedConflicts
from farshore_hub.web.auth import Operator, TokenName, Viewer
from farshore_hub.web.bodies import json_body
from farshore_hub.web.fields import A_STREAM, AnySite, Note, Number
from farshore_hub.web.problems import responses
from farshore_hub.web.routes.alerts import Before
from farshore_hub.web.services import Hub
from farshore_protocol.limits import LATEST_EVENT_US, MAX_NAME_CHARS
from farshore_protocol.names import ANY_STREAM_PATTERN

router: Final = APIRouter(tags=["tables"])

MAX_ROWS: Final = 10_000
MAX_KEY_COLUMNS: Final = 100
_READING: Final = (400, 408, 413, 415, 422)

Name = Annotated[str, Path(max_length=MAX_NAME_CHARS, pattern=f"^{ANY_STREAM_PATTERN}$", description="of the table")]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS)]
AnyName = Annotated[
    str | SkipJsonSchema[None],
    Query(description="only of this table", max_length=MAX_NAME_CHARS, json_schema_extra=A_STREAM),
]
_Text = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
AnyText = Annotated[_Text | SkipJsonSchema[None], Query()]
Since = Annotated[int, Query(ge=0, lt=LATEST_EVENT_US, description="found since, in microseconds since 1970")]
Key = Annotated[
    list[str | int | float | dict[str, str]],
    Field(min_length=1, max_length=MAX_KEY_COLUMNS, description="a value for each column of the key"),
]


class RowChange(BaseModel):
    """Cells that are to be written to a row."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    cells: dict[str, Any] = Field(min_length=1, description='column to value; bytes as {"$bytes": "BASE64"}')
    reason: Note = ""


class RowDelete(BaseModel):
    """A row that is to be deleted."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    reason: Note = ""


class Undo(BaseModel):
    """Why a value that has lost is put back."""

    model_config = ConfigDict(extra="forbid")

    reason: Note = ""


class Resolution(BaseModel):
    """What is to stand in a cell that sites disagree on."""

    model_config = ConfigDict(extra="forbid")

    value: Any = Field(default=None, description="what is to stand; without it, what stands now")
    reason: Note = ""


@router.get("/v1/tables", summary="The merged tables", dependencies=[Viewer], responses=responses(401, 403))
async def get_tables(hub: Hub) -> list[TableView]:
    """With their columns, policies, and how many conflicts there were."""
    return await hub.run_long(hub.tables.tables)


@router.get(
    "/v1/tables/{name}/rows",
    summary="Rows of a merged table",
    dependencies=[Viewer],
    responses=responses(401, 403, 404, 422),
)
async def get_rows(name: Name, hub: Hub, limit: Limit = 1000) -> list[dict[str, JsonValue]]:
    """In the order of their key; more by SQL, from the view."""
    return await hub.run_long(lambda: hub.tables.rows(name, limit))


@router.get(
    "/v1/tables/{name}/edits",
    summary="What was changed at the hub",
    dependencies=[Viewer],
    responses=responses(401, 403, 404, 422),
)
async def get_edits(name: Name, hub: Hub, limit: Limit = 1000) -> list[EditView]:
    """By whom and why, the newest first."""
    return await hub.run_long(lambda: hub.tables.edits(name, limit))


@router.post(
    "/v1/tables/{name}/rows",
    summary="Write cells of a row",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(RowChange)},
)
async def post_row(name: Name, request: Request, hub: Hub, by: TokenName) -> EditedView:
    """The row is made if there is none. Merged like a site's change, and kept under the name of the token."""
    change = await hub.bodies.read_json(request, RowChange)
    return await hub.run_long(lambda: hub.tables.change(name, change.key, change.cells, By(by, change.reason)))


@router.post(
    "/v1/tables/{name}/rows/delete",
    summary="Delete a row",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(RowDelete)},
)
async def post_row_delete(name: Name, request: Request, hub: Hub, by: TokenName) -> EditedView:
    """Under the name of the token."""
    gone = await hub.bodies.read_json(request, RowDelete)
    return await hub.run_long(lambda: hub.tables.delete(name, gone.key, By(by, gone.reason)))


@router.get(
    "/v1/conflicts", summary="Values that have lost", dependencies=[Viewer], responses=responses(401, 403, 404, 422)
)
async def get_conflicts(  # noqa: PLR0913, PLR0917 - a parameter each
    hub: Hub,
    table: AnyName = None,
    site: AnySite = None,
    column: AnyText = None,
    policy: AnyText = None,
    state: AnyText = None,
    since_us: Since = 0,
    before: Before = None,
    limit: Limit = 1000,
) -> list[ConflictView]:
    """The newest first, with both values, who wrote them, and why one has lost; page by page by `before`."""
    if table is not None:
        await hub.run(lambda: hub.tables.layout(table))
    if site is not None:
        await hub.run(lambda: sites.find(hub.fleet, site))
    asked = AskedConflicts(table or "", site or "", column or "", policy or "", state or "", since_us, before, limit)
    return await hub.run_long(lambda: hub.tables.conflicts(asked))


@router.get(
    "/v1/conflicts/{number}", summary="One of them", dependencies=[Viewer], responses=responses(401, 403, 404, 422)
)
async def get_conflict(number: Number, hub: Hub) -> ConflictView:
    """A value that has lost."""
    return await hub.run(lambda: hub.tables.conflict(number))


@router.post(
    "/v1/conflicts/{number}/undo",
    summary="Put a value that has lost back",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Undo)},
)
async def post_undo(number: Number, request: Request, hub: Hub, by: TokenName) -> EditedView:
    """As a change of the hub, under the name of the token."""
    said = await hub.bodies.read_json(request, Undo)
    return await hub.run_long(lambda: hub.tables.undo(number, By(by, said.reason)))


@router.post(
    "/v1/conflicts/{number}/resolve",
    summary="Decide what stands",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Resolution)},
)
async def post_resolution(number: Number, request: Request, hub: Hub, by: TokenName) -> EditedView:
    """Of a cell that sites disagree on, under the name of the token."""
    said = await hub.bodies.read_json(request, Resolution)
    given = [said.value] if "value" in said.model_fields_set else []
    return await hub.run_long(lambda: hub.tables.resolve(number, By(by, said.reason), *given))
