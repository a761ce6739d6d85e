"""Who is at the page: the cookie of a session, forms that only our own pages can send, and what a role may."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from starlette.responses import Response

from farshore_hub.errors import Forbidden, Malformed, Unauthenticated
from farshore_hub.fleet import sessions
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.sessions import Session
from farshore_hub.web.bodies import PEOPLE
from farshore_hub.web.services import Hub, Services
from farshore_protocol.limits import KIB

FORM_TYPE: Final = "application/x-www-form-urlencoded"
FORM_TOKEN: Final = "form_token"  # noqa: S105 - the name of a field
MAX_FORM_BYTES: Final = 8 * KIB
_MAX_FIELDS: Final = 16
_COOKIE: Final = "farshore"
_SECURE_COOKIE: Final = "__Host-farshore"


def is_secure(request: Request) -> bool:
    """Whether the browser came by TLS: to this port, or to a proxy on this machine that says so."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def put_cookie(request: Request, answer: Response, secret: str) -> None:
    """Let the browser keep a session's secret: no script sees it, and no other site makes the browser send it."""
    secure = is_secure(request)
    answer.set_cookie(
        _SECURE_COOKIE if secure else _COOKIE,
        secret,
        max_age=sessions.LIFE_S,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def drop_cookie(request: Request, answer: Response) -> None:
    """Let the browser forget it."""
    secure = is_secure(request)
    name = _SECURE_COOKIE if secure else _COOKIE
    answer.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")


def secret_of(request: Request) -> str | None:
    """The session's secret that the browser sent."""
    return request.cookies.get(_SECURE_COOKIE if is_secure(request) else _COOKIE)


async def signed_in(request: Request, hub: Hub) -> Session:
    """Whose session the request belongs to.

    Raises:
        Unauthenticated: there is none, or it has ended.
    """
    secret = secret_of(request)
    if not secret:
        raise Unauthenticated("nobody is signed in", remedy="sign in with an API token")
    return await hub.run(lambda: sessions.session_of(hub.fleet, secret))


def person(role: Role) -> Callable[..., Awaitable[Session]]:
    """A dependency that lets pass whoever is signed in with `role` or a greater one."""

    async def check(session: Annotated[Session, Depends(signed_in)]) -> Session:
        if not session.role.covers(role):
            raise Forbidden(
                f"this is for the role {role}, and you are signed in as {session.role}",
                remedy="ask an admin for a token that may do it",
            )
        return session

    return check


Viewing = Annotated[Session, Depends(person(Role.VIEWER))]
Operating = Annotated[Session, Depends(person(Role.OPERATOR))]
Administering = Annotated[Session, Depends(person(Role.ADMIN))]


async def read_form(request: Request, hub: Services, whose: str = PEOPLE) -> dict[str, str]:
    """The fields of a form that came from a page of this hub.

    Raises:
        Forbidden: another site had the browser send it.
        Malformed: it is no form.
    """
    check_origin(request)
    async with hub.bodies.read(request, FORM_TYPE, MAX_FORM_BYTES, whose) as raw:
        try:
            return dict(parse_qsl(raw.decode("ascii"), max_num_fields=_MAX_FIELDS, errors="strict"))
        except ValueError:
            raise Malformed("this is not a form that can be read") from None


async def read_deed(request: Request, hub: Services, session: Session) -> dict[str, str]:
    """The fields of a form that does something: it bears what only this session's pages know.

    Raises:
        Forbidden: it does not.
        Malformed: it is no form.
    """
    fields = await read_form(request, hub)
    if not hmac.compare_digest(fields.get(FORM_TOKEN, "").encode(), session.form_token.encode()):
        raise Forbidden("this form is not of your session", remedy="go back, load the page again, and repeat")
    return fields


def check_origin(request: Request) -> None:
    """Refuse what a browser says another site has made it send.

    Raises:
        Forbidden: it says so.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
    if foreign or site not in {None, "same-origin", "none"}:
        raise Forbidden("this form came from another site", remedy="open the hub's own page")


def place_after(text: str | None) -> str:
    """Where to go after signing in: a path of this hub, or the fleet."""
    parts = urlsplit(text or "/")
    ours = not parts.scheme and not parts.netloc and parts.path.startswith("/") and not parts.path.startswith("//")
    plain = "\\" not in (text or "") and (text or "/").isprintable()
    return text if text and ours and plain else "/"
