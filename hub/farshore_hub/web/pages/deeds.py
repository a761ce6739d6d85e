"""What people do at the page: sign in and out, add a site, give out a join token, revoke."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from farshore_hub.errors import Conflict, HubError, Invalid, Unauthenticated
from farshore_hub.fleet import sessions, sites
from farshore_hub.fleet.sessions import Session
from farshore_hub.orders.asking import ask_again
from farshore_hub.texts.durations import parse_duration_s
from farshore_hub.watch.desk import MAX_ID
from farshore_hub.web.auth import MAX_TOKEN_CHARS
from farshore_hub.web.bodies import STRANGERS
from farshore_hub.web.pages.address import site_url
from farshore_hub.web.pages.render import page
from farshore_hub.web.pages.route import SIGN_IN, Page, PageRoute, frame, seen_other
from farshore_hub.web.pages.routes import SiteName
from farshore_hub.web.pages.signing import (
    Administering,
    Operating,
    Viewing,
    drop_cookie,
    place_after,
    put_cookie,
    read_deed,
    read_form,
)
from farshore_hub.web.routes.sites import DEFAULT_TOKEN_LIFE
from farshore_hub.web.services import Hub

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
async def get_sign_in(request: Request) -> HTMLResponse:
    """The form."""
    return _sign_in_page(place_after(request.query_params.get("next")))


@router.post("/sign-in")
async def post_sign_in(request: Request, hub: Hub, pages: Page) -> Response:
    """Open a session for whoever has an API token."""
    address = request.client.host if request.client else ""
    fields = await read_form(request, hub, STRANGERS)
    after, token = place_after(fields.get("next")), fields.get("token", "").strip()
    try:
        pages.throttle.check(address)
        if not token or len(token) > MAX_TOKEN_CHARS:
            raise Unauthenticated("this is not an API token", remedy="ask an admin: farshore-hub token add NAME")
        session = await hub.run(lambda: sessions.open_session(hub.fleet, token))
    except Unauthenticated as error:
        pages.throttle.failed(address)
        return _sign_in_page(after, error)
    except HubError as error:
        return _sign_in_page(after, error)
    answer = seen_other(after)
    put_cookie(request, answer, session.secret)
    return answer


@router.post("/sign-out")
async def post_sign_out(request: Request, hub: Hub, session: Viewing) -> Response:
    """End the session, here and at the hub."""
    await read_deed(request, hub, session)
    await hub.run(lambda: sessions.close_session(hub.fleet, session.secret))
    answer = seen_other(SIGN_IN)
    drop_cookie(request, answer)
    return answer


@router.get("/add-site")
async def get_add_site(session: Operating) -> HTMLResponse:
    """The form."""
    return _add_page(session, {})


@router.post("/add-site")
async def post_add_site(request: Request, hub: Hub, session: Operating) -> Response:
    """Add a site, and show its join token."""
    fields = await read_deed(request, hub, session)
    name = fields.get("name", "").strip()
    try:
        life_s = _life_s(fields.get("expires", ""))
        token = await hub.run(lambda: sites.add(hub.fleet, name, life_s))
    except (Invalid, Conflict) as error:
        return _add_page(session, fields, error)
    return _token_page(session, name, token)


@router.get("/sites/{name}/token")
async def get_token(name: SiteName, hub: Hub, session: Operating) -> HTMLResponse:
    """Whether to make another join token."""
    await hub.run(lambda: sites.find(hub.fleet, name))
    return _confirm_page(
        session,
        name,
        "token",
        title=f"New join token for {name}",
        text="For a new machine at this site, or to let a revoked one join anew. Earlier unused tokens stop working.",
        label="Make a token",
        kind="main",
    )


@router.post("/sites/{name}/token")
async def post_token(request: Request, name: SiteName, hub: Hub, session: Operating) -> Response:
    """Make another join token, and show it."""
    await read_deed(request, hub, session)
    token = await hub.run(lambda: sites.fresh_token(hub.fleet, name, parse_duration_s(DEFAULT_TOKEN_LIFE)))
    return _token_page(session, name, token)


@router.get("/sites/{name}/ask")
async def get_question(name: SiteName, hub: Hub, session: Operating) -> HTMLResponse:
    """Whether to ask a site again for what is missing."""
    await hub.run(lambda: sites.find(hub.fleet, name))
    return _confirm_page(
        session,
        name,
        "ask",
        title=f"Ask {name} again",
        text="For what is missing and the site did not give up itself. It sends once more what it still keeps "
        "of it; its answer stands beside what is missing.",
        label="Ask again",
        kind="main",
    )


@router.post("/sites/{name}/ask")
async def post_question(request: Request, name: SiteName, hub: Hub, session: Operating) -> Response:
    """Ask it."""
    await read_deed(request, hub, session)
    await hub.run_long(lambda: ask_again(hub.orders.commands, name, None, session.name))
    return seen_other(site_url(name))


@router.get("/sites/{name}/revoke")
async def get_revocation(name: SiteName, hub: Hub, session: Administering) -> HTMLResponse:
    """Whether to revoke a site."""
    await hub.run(lambda: sites.find(hub.fleet, name))
    return _confirm_page(
        session,
        name,
        "revoke",
        title=f"Revoke {name}",
        text="Its next request is refused, and its certificates are worthless. What it has delivered stays.",
        label="Revoke",
        kind="danger",
    )


@router.post("/sites/{name}/revoke")
async def post_revocation(request: Request, name: SiteName, hub: Hub, session: Administering) -> Response:
    """Shut a site out."""
    await read_deed(request, hub, session)
    await hub.run(lambda: sites.revoke(hub.fleet, name))
    return seen_other(site_url(name))


@router.post("/alerts/{number}/acknowledge")
async def post_acknowledgement(
    request: Request, number: Annotated[int, Path(ge=1, le=MAX_ID)], hub: Hub, session: Operating
) -> Response:
    """Take care of an alert, under the name of the session's token."""
    await read_deed(request, hub, session)
    await hub.run(lambda: hub.desk.acknowledge(number, session.name))
    return seen_other("/alerts")


def _sign_in_page(after: str, error: HubError | None = None) -> HTMLResponse:
    status = error.status if error else 200
    headers = {"Retry-After": str(error.retry_after_s)} if error and error.retry_after_s else {}
    fault, remedy = (error.detail, error.remedy) if error else ("", "")
    return page("sign_in.html", status=status, headers=headers, after=after, fault=fault, remedy=remedy, **frame(None))


def _add_page(session: Session, fields: dict[str, str], error: HubError | None = None) -> HTMLResponse:
    return page(
        "add_site.html",
        status=error.status if error else 200,
        fault=error.detail if error else "",
        name=fields.get("name", ""),
        expires=fields.get("expires", DEFAULT_TOKEN_LIFE),
        **frame(session),
    )


def _confirm_page(session: Session, name: str, deed: str, **shown: Any) -> HTMLResponse:  # noqa: ANN401 - the template's
    """Asks before a deed at a site; `deed` is the last word of its path and of the command that does the same."""
    home = site_url(name)
    command = f"farshore-hub site {deed} {name}"
    return page(
        "confirm.html", action=f"{home}/{deed}", command=command, name=name, site_url=home, **shown, **frame(session)
    )


def _token_page(session: Session, name: str, token: str) -> HTMLResponse:
    return page("joined.html", status=201, name=name, token=token, site_url=site_url(name), **frame(session))


def _life_s(text: str) -> int:
    try:
        return parse_duration_s(text.strip() or DEFAULT_TOKEN_LIFE)
    except ValueError as error:
        raise Invalid(str(error)) from None
