"""What was delivered: completeness per stream, SQL over all streams, export of one."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from farshore_hub.fleet import sites
from farshore_hub.lake.export import Wanted
from farshore_hub.lake.formats import Format
from farshore_hub.reports import check_stream
from farshore_hub.texts.tables import table_json
from farshore_hub.views import CompletenessView
from farshore_hub.web.auth import Viewer
from farshore_hub.web.bodies import JSON_TYPE, json_body
from farshore_hub.web.fields import AnySite, AnyStream, Stream
from farshore_hub.web.problems import responses, success
from farshore_hub.web.services import Hub
from farshore_hub.web.telling import told
from farshore_protocol.limits import KIB, LATEST_EVENT_US

router: Final = APIRouter(tags=["records"], dependencies=[Viewer])

MEDIA_TYPES: Final = {
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
}
_READING: Final = (400, 408, 413, 415, 422)


class Sql(BaseModel):
    """A query. Every stream is a table of its name, with `_site`, `_time` and `_seq` beside the fields."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(min_length=1, max_length=32 * KIB)


class Table(BaseModel):
    """The answer to a query: times in ISO 8601, bytes in hex, NaN and infinities as text."""

    columns: list[str]
    rows: list[list[Any]]


GapsOnly = Annotated[bool, Query(description="only where something is missing, with its ranges")]
AtTime = Annotated[
    Annotated[int, Field(ge=0, lt=LATEST_EVENT_US)] | SkipJsonSchema[None],
    Query(description="as it was known at that time, in microseconds since 1970; left out: now"),
]


@router.get("/v1/completeness", summary="What is complete", responses=responses(401, 403, 404, 422))
async def get_completeness(
    hub: Hub,
    site: AnySite = None,
    stream: AnyStream = None,
    gaps: GapsOnly = False,  # noqa: FBT002 - FastAPI's way
    at: AtTime = None,
) -> CompletenessView:
    """Per site and stream: produced = stored + pending + shed + quarantined + gap. A gap of 0 is complete."""
    return await hub.run_long(lambda: hub.reporter.completeness(site, stream, gaps=gaps, at_us=at))


@router.post(
    "/v1/query",
    summary="SQL over the streams",
    response_model=Table,
    responses=responses(401, 403, 404, *_READING),
    openapi_extra={"requestBody": json_body(Sql)},
)
async def post_query(request: Request, hub: Hub) -> StreamingResponse:
    """One SELECT in DuckDB's SQL, within the hub's limits of time, rows and memory."""
    wanted = await hub.bodies.read_json(request, Sql)
    asked = hub.lake.ask(wanted.sql, timeout_s=hub.query_timeout_s, max_rows=hub.max_query_rows)
    return await told(request, hub.queries, lambda: table_json(asked.tables()), asked.close, JSON_TYPE)


@router.get(
    "/v1/streams/{stream}/records",
    summary="All records of a stream",
    response_class=StreamingResponse,
    responses=success("the records", *MEDIA_TYPES.values()) | responses(401, 403, 404, 413, 422),
)
async def get_records(
    request: Request,
    hub: Hub,
    stream: Annotated[Stream, Path()],
    site: AnySite = None,
    kind: Annotated[Format, Query(alias="format")] = Format.NDJSON,
) -> StreamingResponse:
    """By site, incarnation and sequence. NDJSON is what the site sent; the others have the columns of a query."""
    if site is not None:
        await hub.run(lambda: sites.find(hub.fleet, site))
    export = hub.lake.export(Wanted(check_stream(stream), site), kind)
    return await told(request, hub.exports, lambda: iter(export), export.close, MEDIA_TYPES[kind])
