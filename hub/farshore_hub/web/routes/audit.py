"""What the hub's audits have found."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from farshore_hub.audit import progress
from farshore_hub.audit.views import AuditStateView, state_view
from farshore_hub.store import damages
from farshore_hub.store.engine import reading
from farshore_hub.web.auth import Viewer
from farshore_hub.web.problems import responses
from farshore_hub.web.services import Hub, Services

router: Final = APIRouter(tags=["audit"], dependencies=[Viewer])


@router.get("/v1/audit", summary="What the audits have found", responses=responses(401, 403))
async def get_audit(hub: Hub) -> AuditStateView:
    """How far the present audit is, what the last one found, and what became of what was found damaged."""
    return await hub.run(lambda: _state(hub))


def _state(hub: Services) -> AuditStateView:
    with reading(hub.fleet.engine) as connection:
        return state_view(progress.load(connection), damages.tally(connection))
