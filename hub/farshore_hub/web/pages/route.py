"""What the routes of the page have in common: errors as pages, and whoever is not signed in is asked to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import OperationalError

from farshore_hub.errors import HubError, Invalid, NotReady, Unauthenticated
from farshore_hub.fleet.sessions import Session
from farshore_hub.web.pages.live import Live
from farshore_hub.web.pages.reading import Reading
from farshore_hub.web.pages.render import HEADERS, page
from farshore_hub.web.pages.signing import drop_cookie
from farshore_hub.web.pages.throttle import Throttle
from farshore_hub.web.problems import faults_of
from farshore_hub.web.services import Services

SEE_OTHER: Final = 303
SIGN_IN: Final = "/sign-in"

_log: Final = logging.getLogger(__name__)


class Pages:
    """What the routes of the page work with beside the services."""

    def __init__(self, services: Services) -> None:
        self.reading = Reading(services)
        self.live = Live(services.stopping)
        self.throttle = Throttle(services.fleet.clock)


def pages_of(request: Request) -> Pages:
    """The pages that `install` made."""
    pages = request.app.state.pages
    assert isinstance(pages, Pages)  # noqa: S101 - `install` puts them there
    return pages


Page = Annotated[Pages, Depends(pages_of)]


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, which answers every error of ours with a page."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except Unauthenticated as error:
                return _sign_in_first(request, error)
            except HubError as error:
                return error_page(error)
            except RequestValidationError as error:
                return error_page(Invalid(faults_of(list(error.errors()))))
            except OperationalError as error:
                _log.error("the database refuses: %s", error)
                return error_page(NotReady("the database does not answer, or has no room", remedy="try again later"))

        return answer


def frame(session: Session | None, *, live: str | None = None, shown: str = "", current: str = "") -> dict[str, Any]:
    """What every page shows around its own matter."""
    places = [
        {"label": label, "url": url, "is_current": current == url}
        for label, url in (
            ("Fleet", "/"),
            ("Alerts", "/alerts"),
            ("Tables", "/tables"),
            ("Orders", "/orders"),
            ("Audit", "/audit"),
        )
    ]
    return {"session": session, "live": live, "shown": shown, "nav": places}


def error_page(error: HubError) -> Response:
    """The page for one error."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else {}
    told = {"title": error.title, "detail": error.detail, "remedy": error.remedy, "code": error.status}
    return page("error.html", status=error.status, headers=headers, **frame(None), **told)


def seen_other(url: str) -> Response:
    """On to another page."""
    return RedirectResponse(url, SEE_OTHER, HEADERS)


def _sign_in_first(request: Request, error: Unauthenticated) -> Response:
    if request.method != "GET" or request.url.path.startswith("/live"):
        return error_page(error)
    place = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    answer = seen_other(SIGN_IN if place == "/" else f"{SIGN_IN}?next={quote(place, safe='')}")
    drop_cookie(request, answer)
    return answer
