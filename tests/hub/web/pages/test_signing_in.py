"""Who may see and do what at the page: sessions, forms that only our own pages send, roles, headers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from farshore_hub.fleet import api_tokens, sites
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.web.pages import deeds, orders, routes, statements
from farshore_hub.web.pages.throttle import MAX_FAILURES
from tests.hub.fleet.site import DAY_S
from tests.hub.web.pages.browsing import Browser
from tests.hub.web.pages.conftest import SignedIn
from tests.hub.web.running import RunningHub, running_hub

SITE = "guarded"
NEEDED = {
    ("GET", "/"): Role.VIEWER,
    ("GET", "/sites/{name}"): Role.VIEWER,
    ("GET", "/sites/{name}/streams/{stream}"): Role.VIEWER,
    ("GET", "/alerts"): Role.VIEWER,
    ("GET", "/audit"): Role.VIEWER,
    ("GET", "/orders"): Role.VIEWER,
    ("GET", "/live/orders"): Role.VIEWER,
    ("POST", "/rollouts/{number}/pause"): Role.OPERATOR,
    ("POST", "/rollouts/{number}/resume"): Role.OPERATOR,
    ("POST", "/rollouts/{number}/abort"): Role.OPERATOR,
    ("GET", "/live/alerts"): Role.VIEWER,
    ("POST", "/alerts/{number}/acknowledge"): Role.OPERATOR,
    ("GET", "/live"): Role.VIEWER,
    ("GET", "/live/sites/{name}"): Role.VIEWER,
    ("GET", "/live/sites/{name}/streams/{stream}"): Role.VIEWER,
    ("POST", "/sign-out"): Role.VIEWER,
    ("GET", "/add-site"): Role.OPERATOR,
    ("POST", "/add-site"): Role.OPERATOR,
    ("GET", "/sites/{name}/token"): Role.OPERATOR,
    ("POST", "/sites/{name}/token"): Role.OPERATOR,
    ("GET", "/sites/{name}/ask"): Role.OPERATOR,
    ("POST", "/sites/{name}/ask"): Role.OPERATOR,
    ("GET", "/sites/{name}/statement"): Role.VIEWER,
    ("GET", "/sites/{name}/statement.json"): Role.VIEWER,
    ("GET", "/sites/{name}/revoke"): Role.ADMIN,
    ("POST", "/sites/{name}/revoke"): Role.ADMIN,
}
PUBLIC = {("GET", "/sign-in"), ("POST", "/sign-in")}


@pytest.fixture(scope="module", autouse=True)
def site(hub: RunningHub) -> None:
    sites.add(hub.hub.fleet, SITE, DAY_S)


def path_of(route: str) -> str:
    return route.replace("{name}", SITE).replace("{stream}", "nothing").replace("{number}", "1")


def test_the_table_names_every_route_of_the_page() -> None:
    known = {
        (method, route.path)  # type: ignore[attr-defined]  # they are routes with paths
        for router in (routes.router, deeds.router, orders.router, statements.router)
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert known == NEEDED.keys() | PUBLIC


@pytest.mark.parametrize(("method", "route"), NEEDED)
def test_whoever_is_not_signed_in_sees_nothing(hub: RunningHub, method: str, route: str) -> None:
    browser = Browser(hub)
    path = path_of(route)
    reply = browser.get(path) if method == "GET" else browser.post(path, {"form_token": "0" * 64})
    if method == "GET" and not route.startswith("/live"):
        assert reply.status == 303
        assert reply.headers["location"].startswith("/sign-in")
    else:
        assert reply.status == 401
    assert SITE not in reply.body.decode()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
@pytest.mark.parametrize(("method", "route"), [key for key, needed in NEEDED.items() if needed is not Role.VIEWER])
def test_a_role_can_do_no_deed_that_is_not_its_own(
    hub: RunningHub, signed_in: SignedIn, method: str, route: str, role: Role
) -> None:
    needed, browser, path = NEEDED[method, route], signed_in(role), path_of(route)
    before = sites.find(hub.hub.fleet, SITE)
    # The name is none, so that whoever may do it does nothing either.
    reply = browser.get(path) if method == "GET" else browser.do(path.replace(SITE, "nobody"), name="NOT ALLOWED")
    assert (reply.status == 403) == (not role.covers(needed)), reply.body
    assert sites.find(hub.hub.fleet, SITE) == before


def test_a_viewer_is_not_even_shown_deeds(signed_in: SignedIn) -> None:
    for path, deed in (("/", "/add-site"), (f"/sites/{SITE}", "/revoke"), (f"/sites/{SITE}", "/token")):
        assert deed not in signed_in(Role.VIEWER).get(path).body.decode()
        assert deed in signed_in(Role.ADMIN).get(path).body.decode()


@pytest.mark.parametrize("path", ["/add-site", f"/sites/{SITE}/token", f"/sites/{SITE}/revoke", "/sign-out"])
def test_a_form_that_no_page_of_the_session_has_sent_does_nothing(
    hub: RunningHub, signed_in: SignedIn, path: str
) -> None:
    admin, before = signed_in(Role.ADMIN), sites.listing(hub.hub.fleet)
    other = signed_in(Role.OPERATOR).form_token()
    forged = [
        admin.post(path, {"name": "forged"}),
        admin.post(path, {"name": "forged", "form_token": "0" * 64}),
        admin.post(path, {"name": "forged", "form_token": other}),
        admin.post(path, {"name": "forged", "form_token": admin.form_token()}, Origin="https://evil.example"),
        admin.post(path, {"name": "forged", "form_token": admin.form_token()}, Sec_Fetch_Site="cross-site"),
        admin.post(path, {"name": "forged", "form_token": admin.form_token()}, Origin="null"),
    ]
    assert [reply.status for reply in forged] == [403] * len(forged)
    assert sites.listing(hub.hub.fleet) == before
    assert admin.get("/").status == 200


def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_connections(hub: RunningHub) -> None:
    reply = Browser(hub).post("/sign-in", {"token": hub.tokens[Role.VIEWER]})
    cookie = reply.headers["set-cookie"].lower()
    assert cookie.startswith("__host-farshore=")
    for flag in ("httponly", "secure", "samesite=strict", "path=/", "max-age=43200"):
        assert flag in cookie
    assert hub.tokens[Role.VIEWER].lower() not in cookie


def test_signing_out_ends_the_session_at_the_hub_too(hub: RunningHub) -> None:
    browser = Browser(hub).sign_in(Role.VIEWER)
    kept = dict(browser.cookies)
    assert browser.do("/sign-out").status == 303
    assert browser.cookies == {}
    assert Browser(hub, kept).get("/").status == 303


def test_a_session_ends_with_its_token_and_its_live_page_too(hub: RunningHub) -> None:
    browser = Browser(hub)
    token = api_tokens.add(hub.hub.fleet, "leaving", Role.VIEWER)
    browser.post("/sign-in", {"token": token})
    assert browser.get("/").status == 200
    api_tokens.revoke(hub.hub.fleet, "leaving")
    assert browser.get("/").status == 303
    assert browser.get("/live").status == 401


def test_wrong_tokens_are_refused_in_words_and_not_for_ever(tmp_path: Path) -> None:
    with running_hub(tmp_path, tls=False) as hub:
        browser = Browser(hub)
        for _ in range(MAX_FAILURES):
            reply = browser.post("/sign-in", {"token": "fsh_wrong"})
            assert reply.status == 401
            assert "not known here" in reply.body.decode()
        reply = browser.post("/sign-in", {"token": hub.tokens[Role.VIEWER]})
        assert reply.status == 429
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert browser.cookies == {}


@pytest.mark.parametrize("body", [b"\xff=1", b"&".join(b"a=1" for _ in range(20)), b"x" * 10_000])
def test_what_is_no_form_is_refused(hub: RunningHub, body: bytes) -> None:
    kind = "application/x-www-form-urlencoded"
    reply = hub.ask("POST", "/sign-in", body, kind=kind)
    assert reply.status in {400, 413}
    assert reply.headers["content-type"].startswith("text/html")


def test_a_bearer_token_is_no_session_and_a_session_no_bearer_token(hub: RunningHub, signed_in: SignedIn) -> None:
    assert hub.ask("GET", "/", role=Role.ADMIN).status == 303
    assert signed_in(Role.ADMIN).get("/v1/sites").status == 401


@pytest.mark.parametrize("path", ["/", "/sign-in", f"/sites/{SITE}", "/sites/nobody", "/add-site"])
def test_every_page_is_kept_to_itself(signed_in: SignedIn, path: str) -> None:
    reply = signed_in(Role.ADMIN).get(path)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["cache-control"] == "no-store"
    text = reply.body.decode()
    assert not re.search(r"<script(?![^>]* src=\"/static/)|<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"(src|href|action)=\"(?!/|#)", text)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/sites/a?hours=48", "/sites/a?hours=48"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_back_and_never_elsewhere(hub: RunningHub, asked: str, sent: str) -> None:
    reply = Browser(hub).post("/sign-in", {"token": hub.tokens[Role.VIEWER], "next": asked})
    assert reply.headers["location"] == sent


def test_what_people_type_is_shown_as_text(signed_in: SignedIn) -> None:
    shown = signed_in(Role.VIEWER).get("/?search=%3Cscript%3Ealert(1)%3C/script%3E%22").body.decode()
    assert "<script>alert" not in shown
    assert "&lt;script&gt;" in shown
