"""What the hub's audits have found."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from farshore_hub.audit import found, progress
from farshore_hub.audit.found import MAX_LOSSES, ForkView, LossesView
from farshore_hub.audit.statement import make_statement
from farshore_hub.audit.views import AuditStateView, state_view
from farshore_hub.fleet import sites
from farshore_hub.ledger.losses import LossCause
from farshore_hub.reports import check_stream
from farshore_hub.store import damages
from farshore_hub.store.engine import reading
from farshore_hub.web.auth import Viewer
from farshore_hub.web.fields import AnySite, AnyStream, SiteInPath
from farshore_hub.web.problems import responses, success
from farshore_hub.web.services import Hub, Services
from farshore_protocol.limits import LATEST_EVENT_US, MAX_SEQUENCE

router: Final = APIRouter(tags=["audit"], dependencies=[Viewer])

NDJSON_TYPE: Final = "application/x-ndjson"
STATEMENT_TYPE: Final = "application/vnd.farshore.statement"

_Time = Annotated[int, Field(ge=0, lt=LATEST_EVENT_US)]
Begin = Annotated[_Time, Query(alias="from", description="in microseconds since 1970")]
End = Annotated[_Time, Query(alias="to", description="up to but without this moment, in microseconds since 1970")]
ForkId = Annotated[int, Path(description="its number", ge=1, le=MAX_SEQUENCE)]
Cause = Annotated[LossCause | SkipJsonSchema[None], Query(description="only of this cause")]
Limit = Annotated[int, Query(ge=1, le=MAX_LOSSES, description="the most that is told")]


@router.get("/v1/audit", summary="What the audits have found", responses=responses(401, 403))
async def get_audit(hub: Hub) -> AuditStateView:
    """How far the present audit is, what the last one found, and what became of what was found damaged."""
    return await hub.run(lambda: audit_state(hub))


@router.get("/v1/losses", summary="What is not stored, and why", responses=responses(401, 403, 404, 422))
async def get_losses(
    hub: Hub, site: AnySite = None, stream: AnyStream = None, cause: Cause = None, limit: Limit = 1000
) -> LossesView:
    """Every range that was produced and is neither stored nor on its way, with its cause as far as it is known."""
    await hub.run(lambda: _check(hub, site, stream))
    return await hub.run_long(lambda: found.find_losses(hub.fleet.engine, site, stream, cause, limit))


@router.get("/v1/forks", summary="What is kept aside", responses=responses(401, 403, 404, 422))
async def get_forks(hub: Hub, site: AnySite = None, stream: AnyStream = None) -> list[ForkView]:
    """Batches whose sequences were stored already with other content: two machines have been one site."""
    await hub.run(lambda: _check(hub, site, stream))
    return await hub.run_long(lambda: found.list_forks(hub.fleet.engine, site, stream))


@router.get("/v1/forks/{fork}", summary="One of them", responses=responses(401, 403, 404, 422))
async def get_fork(fork: ForkId, hub: Hub) -> ForkView:
    """With what is stored in its place."""
    return await hub.run(lambda: found.show_fork(hub.fleet.engine, fork))


@router.get(
    "/v1/forks/{fork}/records",
    summary="Its records",
    response_class=Response,
    responses=success("NDJSON, as the site sent them", NDJSON_TYPE) | responses(401, 403, 404, 422),
)
async def get_fork_records(fork: ForkId, hub: Hub) -> Response:
    """Those that are kept aside, in the order of their sequences."""
    lines = await hub.run_long(lambda: b"".join(found.export_fork(hub.fleet.engine, hub.opener, fork)))
    return Response(lines, media_type=NDJSON_TYPE)


@router.get(
    "/v1/sites/{name}/statement",
    summary="A signed statement of completeness",
    response_class=Response,
    responses=success("canonical JSON, to be kept byte for byte", STATEMENT_TYPE) | responses(401, 403, 404, 422),
)
async def get_statement(name: SiteInPath, hub: Hub, since_us: Begin, until_us: End) -> Response:
    """Of one site; the period is by when the hub stored what came. Anybody can verify it with the hub's key."""
    raw = await hub.run_long(lambda: make_statement(hub.fleet, name, since_us, until_us))
    return Response(raw, media_type=STATEMENT_TYPE)


def _check(hub: Services, site: str | None, stream: str | None) -> None:
    if site is not None:
        sites.find(hub.fleet, site)
    if stream is not None:
        check_stream(stream)


def audit_state(hub: Services) -> AuditStateView:
    """What is kept of audits, for the API and the page."""
    with reading(hub.fleet.engine) as connection:
        return state_view(progress.load(connection), damages.tally(connection))
