"""What was delivered: completeness per stream, SQL over all streams, export of one."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from farshore_hub.errors import Invalid
from farshore_hub.web.auth import Viewer
from farshore_hub.web.bodies import json_body
from farshore_hub.web.problems import responses, success
from farshore_hub.web.services import Hub
from farshore_protocol.limits import KIB
from farshore_protocol.names import BadName, check_any_stream

router: Final = APIRouter(tags=["records"], dependencies=[Viewer])

_MAX_NAME_CHARS: Final = 127
_READING: Final = (400, 408, 413, 415, 422, 503)


class Form(enum.StrEnum):
    """The formats of an export."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


MEDIA_TYPES: Final = {
    Form.NDJSON: "application/x-ndjson",
    Form.CSV: "text/csv",
    Form.PARQUET: "application/vnd.apache.parquet",
}


class Sql(BaseModel):
    """A query. Every stream is a table of its name."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(min_length=1, max_length=32 * KIB)


class Table(BaseModel):
    """The answer to a query."""

    columns: list[str]
    rows: list[list[Any]]


StreamName = Annotated[str | None, Query(max_length=_MAX_NAME_CHARS, description="only this stream")]
SiteName = Annotated[str | None, Query(max_length=_MAX_NAME_CHARS, description="only this site")]


@router.get("/v1/completeness", summary="What is complete", responses=responses(401, 403, 422))
async def get_completeness(
    hub: Hub,
    site: SiteName = None,
    stream: StreamName = None,
    gaps: Annotated[bool, Query(description="name the missing ranges, and leave out what has none")] = False,  # noqa: FBT002
) -> list[dict[str, Any]]:
    """Per site and stream: produced = stored + pending + shed + gap. A gap of 0 is proof that nothing is missing."""
    return await hub.run(lambda: hub.records.completeness(site, stream, gaps=gaps))


@router.post(
    "/v1/query",
    summary="SQL over the streams",
    responses=responses(401, 403, *_READING),
    openapi_extra={"requestBody": json_body(Sql)},
)
async def post_query(request: Request, hub: Hub) -> Table:
    """DuckDB's SQL, reading only, within the hub's limits of time and rows."""
    asked = await hub.bodies.read_json(request, Sql)
    return Table.model_validate(await hub.run(lambda: hub.records.query(asked.sql)))


@router.get(
    "/v1/streams/{stream}/records",
    summary="All records of a stream",
    response_class=Response,
    responses=success("the records", *MEDIA_TYPES.values()) | responses(401, 403, 404, 422),
)
async def get_records(
    hub: Hub,
    stream: Annotated[str, Path(max_length=_MAX_NAME_CHARS)],
    site: SiteName = None,
    form: Annotated[Form, Query(alias="format")] = Form.NDJSON,
) -> Response:
    """In the order of sites and sequences."""
    try:
        check_any_stream(stream)
    except BadName as error:
        raise Invalid(str(error)) from None
    return Response(await hub.run(lambda: hub.records.export(stream, site, form)), media_type=MEDIA_TYPES[form])
