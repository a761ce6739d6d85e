"""Changes that merged tables cannot take in: look at them, say what they mean, try them once more."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from farshore_hub.fleet import sites
from farshore_hub.merge.mapping import MapKind
from farshore_hub.merged.misfits import place_of
from farshore_hub.merged.row import By
from farshore_hub.merged.views import MappingView, MisfitView, TriedView
from farshore_hub.store.misfits import AskedMisfits
from farshore_hub.web.auth import Operator, TokenName, Viewer
from farshore_hub.web.bodies import json_body
from farshore_hub.web.fields import AnySite, Note
from farshore_hub.web.problems import responses
from farshore_hub.web.routes.tables import AnyName, Limit, Name
from farshore_hub.web.services import Hub

router: Final = APIRouter(tags=["tables"])

_ID: Final = r"^[0-9]{1,18}-[0-9]{1,9}$"
_READING: Final = (400, 408, 413, 415, 422)

Number = Annotated[str, Path(pattern=_ID, description="its id, BATCH-PLACE")]
After = Annotated[
    Annotated[str, Field(pattern=_ID)] | SkipJsonSchema[None], Query(description="only those listed after this id")
]
State = Annotated[str, Query(pattern="^(waiting|merged|all)$", description="waiting, merged or all")]
Column = Annotated[str, Field(min_length=1, max_length=255, json_schema_extra={"pattern": r"^[^\u0000]*$"})]


class Declaration(BaseModel):
    """What becomes of values of a column that do not fit."""

    model_config = ConfigDict(extra="forbid")

    column: Column = Field(description="as a site calls it")
    kind: Literal["rename", "default", "widen", "drop"]
    to: Any = Field(default=None, description="of a rename the other column, of a default the value")
    reason: Note = ""


@router.get(
    "/v1/misfits",
    summary="Changes that do not fit their table",
    dependencies=[Viewer],
    responses=responses(401, 403, 404, 422),
)
async def get_misfits(
    hub: Hub,
    table: AnyName = None,
    site: AnySite = None,
    state: State = "waiting",
    after: After = None,
    limit: Limit = 1000,
) -> list[MisfitView]:
    """The newest batch first, with the whole change and why it does not fit; page by page by `after`."""
    if table is not None:
        await hub.run(lambda: hub.tables.layout(table))
    if site is not None:
        await hub.run(lambda: sites.find(hub.fleet, site))
    beyond = place_of(after) if after else None
    asked = AskedMisfits(table or "", site or "", "" if state == "all" else state, beyond, limit)
    return await hub.run_long(lambda: hub.tables.misfits.listed(asked))


@router.get(
    "/v1/misfits/{number}", summary="One of them", dependencies=[Viewer], responses=responses(401, 403, 404, 422)
)
async def get_misfit(number: Number, hub: Hub) -> MisfitView:
    """A change that does not fit."""
    return await hub.run(lambda: hub.tables.misfits.misfit(number))


@router.get(
    "/v1/tables/{name}/mappings",
    summary="What was declared for values that do not fit",
    dependencies=[Viewer],
    responses=responses(401, 403, 404, 422),
)
async def get_mappings(name: Name, hub: Hub) -> list[MappingView]:
    """By whom and why, the newest first."""
    return await hub.run(lambda: hub.tables.misfits.mappings(name))


@router.post(
    "/v1/tables/{name}/mappings",
    summary="Declare what becomes of values that do not fit",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, *_READING),
    openapi_extra={"requestBody": json_body(Declaration)},
)
async def post_mapping(name: Name, request: Request, hub: Hub, by: TokenName) -> TriedView:
    """And try all misfits of the table once more. Kept under the name of the token."""
    said = await hub.bodies.read_json(request, Declaration)
    desk = hub.tables.misfits
    return await hub.run_long(lambda: desk.declare(name, said.column, MapKind(said.kind), said.to, By(by, said.reason)))


@router.post(
    "/v1/tables/{name}/replay",
    summary="Try all misfits of a table once more",
    dependencies=[Operator],
    responses=responses(401, 403, 404, 409, 422),
)
async def post_replay(name: Name, hub: Hub) -> TriedView:
    """As after its policy was changed."""
    return await hub.run_long(lambda: hub.tables.misfits.replay(name))
