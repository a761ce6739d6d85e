"""Which handler answers which method and path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from farshore_agent.net.messages import HttpError, Request, Response

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """A pattern is a path whose segments may be placeholders: `/v1/streams/{stream}`."""

    method: str
    pattern: str
    handler: Handler

    def match(self, path: str) -> dict[str, str] | None:
        """What the placeholders stand for, if the path fits."""
        want, have = self.pattern.split("/"), path.split("/")
        if len(want) != len(have):
            return None
        params = {}
        for wanted, given in zip(want, have, strict=True):
            if wanted.startswith("{"):
                params[wanted[1:-1]] = given
            elif wanted != given:
                return None
        return params


class Routes:
    """A handler that hands each request to the route that fits, or answers 404 or 405."""

    def __init__(self, *routes: Route) -> None:
        self._routes = routes

    def plus(self, *routes: Route) -> Routes:
        """These routes and more."""
        return Routes(*self._routes, *routes)

    async def __call__(self, request: Request) -> Response:
        """Answer with the route's handler.

        Raises:
            HttpError: no route fits.
        """
        allowed = set()
        for route in self._routes:
            params = route.match(request.path)
            if params is None:
                continue
            if route.method in {request.method, "GET" if request.method == "HEAD" else request.method}:
                return await route.handler(replace(request, params=params))
            allowed.add(route.method)
        if allowed:
            allow = ", ".join(sorted(allowed))
            raise HttpError(405, f"{request.method} is not allowed here, only {allow}", headers={"allow": allow})
        raise HttpError(404, f"there is nothing at {request.path[:200]!r}")
