"""What sites ask for: the CA certificate, enrolment, renewal, and parcels."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from farshore_hub.fleet.enrol import enrol
from farshore_hub.fleet.renew import renew
from farshore_hub.web.auth import CERTIFICATE_SCHEME, ClientCertificate
from farshore_hub.web.bodies import STRANGERS, binary_body
from farshore_hub.web.door import PATH
from farshore_hub.web.problems import responses, success
from farshore_hub.web.services import Hub
from farshore_protocol.keyring import pack_chain
from farshore_protocol.limits import MAX_ENROLMENT_BYTES, MAX_SEQUENCE
from farshore_protocol.parcel import ANSWER_TYPE, PARCEL_TYPE

router: Final = APIRouter(tags=["sites' door"])

PEM_TYPE: Final = "application/x-pem-file"
MESSAGE_TYPE: Final = "application/vnd.msgpack"
"""Enrolment and renewal requests and their answers."""

_READING: Final = (400, 408, 413, 415, 422)


@router.post(
    PATH,
    summary="Take a parcel",
    response_class=Response,
    responses=success("the hub's signed answer; what it says is stored, is stored", ANSWER_TYPE)
    | responses(401, 403, *_READING),
    openapi_extra={"requestBody": binary_body(PARCEL_TYPE), "security": [{CERTIFICATE_SCHEME: []}]},
)
async def post_parcel(request: Request, hub: Hub) -> Response:
    """Answered only after everything that the answer acknowledges is on disk. The same parcel may be sent again.

    How urgent it is stands in `farshore-priority`, and what waits behind it in `farshore-behind`: 0 (last) … 9 (first).
    """
    return await hub.door.take(request)


@router.get(
    "/v1/ca",
    summary="The hub's CA certificate",
    response_class=Response,
    responses=success("PEM", PEM_TYPE) | responses(),
)
async def get_ca(hub: Hub) -> Response:
    """Public. A site compares its hash with the one in its join token before it trusts it."""
    return Response(hub.fleet.keys.ca.pem, media_type=PEM_TYPE)


@router.get(
    "/v1/keyrings",
    summary="The hub's public keys, as it announced them",
    response_class=Response,
    responses=success("a packed Chain of signed keyrings", MESSAGE_TYPE) | responses(422),
)
async def get_keyrings(hub: Hub, after: Annotated[int, Query(ge=0, le=MAX_SEQUENCE)] = 0) -> Response:
    """Public. For a site that was away so long that it trusts no certificate of the hub: each keyring proves itself."""
    return Response(pack_chain(hub.fleet.keys.chain_after(after)), media_type=MESSAGE_TYPE)


@router.post(
    "/v1/enrol",
    summary="Join with a join token",
    response_class=Response,
    responses=success("a packed Membership", MESSAGE_TYPE) | responses(403, *_READING),
    openapi_extra={"requestBody": binary_body(MESSAGE_TYPE)},
)
async def post_enrolment(request: Request, hub: Hub) -> Response:
    """A packed EnrolmentRequest. Of two that use one token, one wins."""
    async with hub.bodies.read(request, MESSAGE_TYPE, MAX_ENROLMENT_BYTES, STRANGERS) as raw:
        return Response(await hub.run(lambda: enrol(hub.fleet, raw)), media_type=MESSAGE_TYPE)


@router.post(
    "/v1/renew",
    summary="A new certificate for a site",
    response_class=Response,
    responses=success("a packed Membership", MESSAGE_TYPE) | responses(401, 403, *_READING),
    openapi_extra={"requestBody": binary_body(MESSAGE_TYPE), "security": [{CERTIFICATE_SCHEME: []}, {}]},
)
async def post_renewal(request: Request, certificate: ClientCertificate, hub: Hub) -> Response:
    """A packed RenewalRequest. Without a current certificate its signature has to be the site's."""
    async with hub.bodies.read(request, MESSAGE_TYPE, MAX_ENROLMENT_BYTES, STRANGERS) as raw:
        return Response(await hub.run(lambda: renew(hub.fleet, raw, certificate)), media_type=MESSAGE_TYPE)
