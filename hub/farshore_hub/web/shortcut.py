"""The way of parcels past the framework.

FastAPI stays what describes the route and answers everything else. But of what a small parcel costs the hub, two fifths
went to its middlewares, routing and dependencies, which come to the same thing for every parcel. Here the route's own
function is called at once, with the sign-in that its signature asks for, and its errors get the application's handlers.
"""

from __future__ import annotations

import logging
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from farshore_hub.web.auth import signed_in_site
from farshore_hub.web.routes import sites_door
from farshore_hub.web.services import Services

_ROUTE: Final = next(
    route
    for route in sites_door.router.routes
    if isinstance(route, APIRoute) and route.endpoint is sites_door.post_parcel
)
_METHODS: Final = frozenset(_ROUTE.methods or ())

_log: Final = logging.getLogger(__name__)


def with_shortcut(app: FastAPI, hub: Services) -> ASGIApp:
    """`app`, whose parcels do not go through it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_parcel = scope["type"] == "http" and scope["path"] == _ROUTE.path and scope["method"] in _METHODS
        await (take if is_parcel else app)(scope, receive, send)

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = _ROUTE
        request = Request(scope, receive)
        try:
            response = await sites_door.post_parcel(request, await signed_in_site(request, hub), hub)
        except Exception as error:  # noqa: BLE001 - the application has a handler for every one
            response = await _problem(app, request, error)
        await response(scope, receive, send)

    return answer


async def _problem(app: FastAPI, request: Request, error: Exception) -> Response:
    kind = next(kind for kind in type(error).__mro__ if kind in app.exception_handlers)
    if kind is Exception:
        _log.error("a parcel met a fault of the hub", exc_info=error)
    response: Response = await app.exception_handlers[kind](request, error)  # type: ignore[misc]  # ours are coroutines
    return response
