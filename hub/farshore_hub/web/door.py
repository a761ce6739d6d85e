"""The sites' door: parcels are taken here, past the framework, and before there is one.

FastAPI's middlewares, routing and dependencies cost 360 µs of CPU a parcel and come to the same thing for every one;
and to load FastAPI and what it serves takes half of a start, while sites wait. So this module needs neither. FastAPI
describes the route all the same, and answers everything else (`web.api`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from farshore_hub.errors import Unauthenticated
from farshore_hub.fleet import signin
from farshore_hub.fleet.signin import Peer
from farshore_hub.receive.admission import Asked
from farshore_hub.receive.receiver import Receiver
from farshore_hub.web import problems
from farshore_hub.web.bodies import BodyReader, announced_bytes
from farshore_protocol.limits import MAX_PARCEL_BYTES
from farshore_protocol.parcel import ANSWER_TYPE, PARCEL_TYPE
from farshore_protocol.urgency import Urgency

PATH: Final = "/v1/parcels"
METHOD: Final = "POST"


@dataclass(frozen=True, slots=True)
class SitesDoor:
    """What taking a parcel needs.

    Attributes:
        receiver: takes parcels.
        bodies: reads request bodies within the budget.
        sign_in: the active site of a client certificate, by the database as it is now.
    """

    receiver: Receiver
    bodies: BodyReader
    sign_in: Callable[[Peer], Awaitable[str]]

    async def site_of(self, request: Request) -> str:
        """The active site whose certificate the connection bears.

        Raises:
            Unauthenticated: there is no certificate, or it is not a current one of this hub.
            SiteRevoked: the site is shut out.
        """
        peer = client_certificate(request)
        if peer is None:
            raise Unauthenticated(
                "this route is for sites, which sign in with their client certificate",
                remedy="use the certificate that the site was given when it enrolled",
            )
        return await self.sign_in(peer)

    async def take(self, request: Request) -> Response:
        """Take a parcel.

        Raises:
            HubError, ProtocolError: it is not taken; nothing of it was stored.
        """
        site = await self.site_of(request)
        asked = Asked(site, announced_bytes(request, MAX_PARCEL_BYTES), Urgency.from_headers(request.headers))
        with self.receiver.admitted(asked):
            async with self.bodies.read(request, PARCEL_TYPE, MAX_PARCEL_BYTES, site) as parcel:
                return Response(await self.receiver.receive(parcel, site, asked), media_type=ANSWER_TYPE)


def client_certificate(request: Request) -> Peer | None:
    """What the connection's client certificate says, where it bears one of this hub's CA; it may be worth nothing."""
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", [])
    return signin.peer_of(chain[0]) if chain else None


def with_door(door: SitesDoor, others: ASGIApp) -> ASGIApp:
    """An application that takes parcels through `door`, and leaves everything else to `others`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_parcel = scope["type"] == "http" and scope["path"] == PATH and scope["method"] == METHOD
        await (take if is_parcel else others)(scope, receive, send)

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = route
        request = Request(scope, receive)
        try:
            response = await door.take(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered with a problem
            response = await problems.answer(request, error)
        await response(scope, receive, send)

    route = Route(PATH, door.take, methods=[METHOD])
    return answer
