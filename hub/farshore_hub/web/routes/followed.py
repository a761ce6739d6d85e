"""What sites that follow tables ask for: rows of the merged tables."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from farshore_hub.web.auth import CERTIFICATE_SCHEME
from farshore_hub.web.bodies import binary_body
from farshore_hub.web.problems import responses, success
from farshore_hub.web.services import Hub
from farshore_protocol.limits import MAX_ASK_BYTES
from farshore_protocol.tables import ASK_TYPE, PAGES_TYPE, open_ask, pack_pages

router: Final = APIRouter(tags=["sites' door"])


@router.post(
    "/v1/followed",
    summary="What has changed in the tables that a site follows",
    response_class=Response,
    responses=success("packed Pages", PAGES_TYPE) | responses(400, 401, 403, 408, 413, 415, 422),
    openapi_extra={"requestBody": binary_body(ASK_TYPE), "security": [{CERTIFICATE_SCHEME: []}]},
)
async def post_question(request: Request, hub: Hub) -> Response:
    """A packed Ask. Only rows that the site may see are in the answer, which the hub keeps back until there are any."""
    site = await hub.door.site_of(request)
    async with hub.bodies.read(request, ASK_TYPE, MAX_ASK_BYTES, site) as raw:
        ask = open_ask(raw)
    pages = await hub.share.answer(ask, lambda: hub.door.site_of(request))
    return Response(pack_pages(pages), media_type=PAGES_TYPE)
