"""Whether the process lives, whether it is ready, and its figures."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from farshore_hub.errors import NotReady
from farshore_hub.web.auth import Viewer
from farshore_hub.web.problems import responses, success
from farshore_hub.web.services import Hub

router: Final = APIRouter(tags=["health"])


class Health(BaseModel):
    """All is well."""

    status: str = "ok"


class Readiness(Health):
    """Parcels are taken.

    Attributes:
        impaired: what does not work all the same, with the reason.
    """

    impaired: list[str] = []


@router.get("/healthz", summary="The process answers", responses=responses())
async def get_health() -> Health:
    """Public. Nothing else is checked: a supervisor that restarts the process for more than this makes things worse."""
    return Health()


@router.get("/readyz", summary="The hub can take parcels", responses=responses())
async def get_readiness(hub: Hub) -> Readiness:
    """Public. The database answers, its schema is this version's, the lake writer runs."""
    wrong = [f"{name}: {said}" for name, check in hub.checks.items() if (said := await hub.run(check))]
    if wrong:
        raise NotReady("; ".join(wrong), remedy="the hub's log says more")
    return Readiness(impaired=[f"{name}: {said}" for name, look in hub.impairments.items() if (said := look())])


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    dependencies=[Viewer],
    responses=success("text exposition format", "text/plain") | responses(401, 403),
)
async def get_metrics(hub: Hub) -> Response:
    """With a viewer's token: what a site has pending is nobody else's business, and a proxy makes everybody local."""
    return Response(await hub.run_long(hub.metrics), media_type=CONTENT_TYPE_LATEST)
