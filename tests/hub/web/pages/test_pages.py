"""What the pages show of sites that have delivered, and what operators do there."""

from __future__ import annotations

import http.client
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from farshore_hub.alerts.hysteresis import Phase
from farshore_hub.alerts.kinds import Kind, Severity
from farshore_hub.audit.canonical import verify
from farshore_hub.fleet import api_tokens
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.orders.desk import OrderDesk
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.orders.rollout import Strategy
from farshore_hub.store.engine import writing
from farshore_hub.store.fleet import SiteState
from farshore_hub.store.schema import alerts
from farshore_hub.web.pages.shared import FRESH_S
from farshore_protocol.enrolment import read_token
from tests.contracts.hub_world import FakeSite
from tests.contracts.steered import SteeredSite
from tests.hub.web.pages.browsing import Browser
from tests.hub.web.pages.conftest import SignedIn
from tests.hub.web.running import RunningHub, running_hub
from tests.hub.web.test_delivery import delivered


@pytest.fixture(scope="module", autouse=True)
def delivering(hub: RunningHub) -> None:
    """A site that has delivered five records of eight; three are nowhere."""
    delivered(hub, "pump-7", "boiler")


def test_the_fleet_shows_a_site_with_what_is_missing_first(hub: RunningHub, signed_in: SignedIn) -> None:
    hub.join("quiet")
    text = signed_in(Role.VIEWER).get("/").body.decode()
    rows = re.findall(r'<tr id="site-([^"]+)">', text)
    assert rows[0] == "pump-7"
    assert "quiet" in rows
    row = text[text.index('id="site-pump-7"') :]
    assert 'class="state gap"' in row[: row.index("</tr>")]
    assert ">3<" in row[: row.index("</tr>")]


def test_search_and_filters_leave_the_others_out(signed_in: SignedIn) -> None:
    browser = signed_in(Role.VIEWER)
    assert 'id="site-pump-7"' in browser.get("/?search=PUMP&stream=boiler&standing=gap").body.decode()
    for query in ("search=nothing", "standing=complete", "silent=1", "stream=other"):
        text = browser.get(f"/?{query}").body.decode()
        assert 'id="site-pump-7"' not in text, query
        assert "No site is like that" in text


def test_a_site_shows_numbers_that_add_up_and_what_is_missing(signed_in: SignedIn) -> None:
    text = signed_in(Role.VIEWER).get("/sites/pump-7").body.decode()
    sum_ = re.search(r'<p class="sum">(.*?)</p>', text, re.DOTALL)
    assert sum_
    produced, *parts = [int(each) for each in re.findall(r"<b>(\d+)</b>", sum_[1])]
    assert (produced, sum(parts)) == (8, 8)
    assert "6\u20138" in text
    assert "5</span><small> of 8" in text


def test_a_stream_has_a_page_and_what_there_is_not_has_none(signed_in: SignedIn) -> None:
    browser = signed_in(Role.VIEWER)
    assert browser.get("/sites/pump-7/streams/boiler?hours=168").status == 200
    for path in ("/sites/pump-7/streams/other", "/sites/nobody", "/sites/NOT%20A%20NAME", "/nothing"):
        reply = browser.get(path)
        assert reply.status in {404, 422}, path
    assert browser.get("/sites/pump-7?hours=1").status == 422


def test_the_api_says_the_same_as_the_page(hub: RunningHub) -> None:
    fleet = hub.ask("GET", "/v1/fleet?search=pump", role=Role.VIEWER).json
    [line] = fleet["sites"]
    assert (line["standing"], line["gap"], line["stored"], fleet["found"]) == ("gap", 3, 5, 1)
    site = hub.ask("GET", "/v1/sites/pump-7", role=Role.VIEWER).json
    assert site["watermarks"][0] | {"incarnation": ""} == {
        "stream": "boiler",
        "incarnation": "",
        "watermark": 5,
        "head": 8,
    }
    assert site["line"] == line
    assert sum(each["records"] for each in site["arrivals"]) == 5
    assert site["certificate_ends_us"] > site["site"]["enrolled_us"]


def test_an_operator_adds_a_site_and_sees_its_token_once(hub: RunningHub, signed_in: SignedIn) -> None:
    operator = signed_in(Role.OPERATOR)
    reply = operator.do("/add-site", name="well-1", expires="2 h")
    token = re.search(r"farshore-agent enrol (\S+)</pre>", reply.body.decode())
    assert reply.status == 201
    assert token
    assert read_token(token[1]).site == "well-1"
    assert token[1] not in operator.get("/sites/well-1").body.decode()
    for fields in ({"name": "well-1"}, {"name": "NOT ALLOWED"}, {"name": "well-2", "expires": "soon"}):
        again = operator.do("/add-site", **fields)
        assert again.status in {409, 422}, fields
        assert 'role="alert"' in again.body.decode()


def test_losses_are_named_and_a_viewer_takes_a_signed_statement_home(hub: RunningHub, signed_in: SignedIn) -> None:
    viewer = signed_in(Role.VIEWER)
    text = viewer.get("/sites/pump-7").body.decode()
    losses = text[text.index('id="site-losses"') :]
    losses = losses[: losses.index("</section>")]
    assert "6\u20138" in losses
    assert "unknown" in losses
    assert 'href="/sites/pump-7/statement"' in text
    form = viewer.get("/sites/pump-7/statement").body.decode()
    days = dict(re.findall(r'type="date" name="(\w+)" value="([^"]+)"', form))
    reply = viewer.get(f"/sites/pump-7/statement.json?from={days['from']}&to={days['to']}")
    assert reply.status == 200
    assert f'filename="pump-7-{days["from"]}-{days["to"]}.statement.json"' in reply.headers["content-disposition"]
    said = verify(reply.body, hub.hub.keys.signing.public_key())
    assert (said["site"], [each["counts"]["gap"] for each in said["streams"]]) == ("pump-7", [3])
    for query in ("from=2026-11-02&to=2026-11-02", "from=soon&to=2026-11-02", ""):
        assert viewer.get(f"/sites/pump-7/statement.json?{query}").status == 422, query
    assert viewer.get("/sites/nobody/statement").status == 404


def test_an_operator_asks_a_site_again_and_the_question_stands_beside_what_is_missing(
    hub: RunningHub, signed_in: SignedIn
) -> None:
    sender = delivered(hub, "well-7", "boiler")
    operator, viewer = signed_in(Role.OPERATOR), signed_in(Role.VIEWER)
    assert "/sites/well-7/ask" in operator.get("/sites/well-7").body.decode()
    assert "/sites/well-7/ask" not in viewer.get("/sites/well-7").body.decode()
    assert viewer.get("/sites/well-7/ask").status == 403
    # A site that never introduced itself takes no orders.
    assert operator.do("/sites/well-7/ask").status == 409
    site = FakeSite("well-7", hub.hub.keys)
    site.signer = sender.keys.signing
    OrderDesk(hub.hub.engine, hub.hub.keys, hub.hub.fleet.clock).take_report(
        SteeredSite(site, hub.hub.keys).report(), "well-7"
    )
    assert operator.do("/sites/well-7/ask").headers["location"] == "/sites/well-7"
    [asked] = hub.ask("GET", "/v1/sites/well-7", role=Role.VIEWER).json["resends"]
    assert (asked["stream"], asked["first"], asked["last"], asked["outcome"]) == ("boiler", 6, 8, None)
    again = hub.ask("POST", "/v1/sites/well-7/ask?stream=boiler", role=Role.OPERATOR)
    assert (again.status, "nothing to ask" in again.body.decode()) == (409, True)
    assert hub.ask("POST", "/v1/sites/well-7/ask", role=Role.VIEWER).status == 403
    time.sleep(FRESH_S)
    assert "the site was asked again" in viewer.get("/sites/well-7").body.decode()


def test_another_token_and_revoking(hub: RunningHub, signed_in: SignedIn) -> None:
    hub.join("well-9")
    admin = signed_in(Role.ADMIN)
    assert "farshore-agent enrol" in admin.do("/sites/well-9/token").body.decode()
    assert admin.get("/sites/well-9/revoke").status == 200
    assert admin.do("/sites/well-9/revoke").headers["location"] == "/sites/well-9"
    known = hub.ask("GET", "/v1/sites/well-9", role=Role.VIEWER).json
    assert (known["site"]["state"], known["line"]["standing"]) == (SiteState.REVOKED, "unknown")
    assert ">revoked<" in admin.get("/sites/well-9").body.decode().replace("</svg>revoked", ">revoked")


def test_an_empty_hub_says_what_to_do(tmp_path: Path) -> None:
    with running_hub(tmp_path, tls=False) as hub:
        browser = Browser(hub).sign_in(Role.VIEWER)
        assert "No sites yet" in browser.get("/").body.decode()
        assert "__Host" not in str(browser.cookies)


def test_static_files_are_there_and_nothing_around_them(hub: RunningHub) -> None:
    for name, kind in (
        ("farshore.css", "text/css"),
        ("farshore.js", "javascript"),
        ("vendor/htmx.min.js", "javascript"),
        ("vendor/inter.woff2", "font/woff2"),
        ("vendor/NOTICE", ""),
    ):
        reply = hub.ask("GET", f"/static/{name}")
        assert reply.status == 200
        assert kind in reply.headers["content-type"]
    for outside in ("/static/../render.py", "/static/%2e%2e/render.py", "/static/..%2frender.py", "/static/"):
        assert hub.ask("GET", outside).status == 404


def events(connection: http.client.HTTPConnection, cookies: dict[str, str], path: str) -> http.client.HTTPResponse:
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    connection.request("GET", path, headers={"Cookie": cookie})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    return answer


def next_event(answer: http.client.HTTPResponse) -> tuple[str, Any]:
    kind = ""
    while line := answer.readline().decode().strip("\n"):
        name, _, value = line.partition(": ")
        kind = value if name == "event" else kind
        if name == "data":
            answer.readline()
            return kind, json.loads(value)
    return next_event(answer) if not answer.isclosed() else ("", None)


def test_a_live_page_is_told_over_the_port_and_ended_with_its_session(hub: RunningHub) -> None:
    browser = Browser(hub)
    browser.post("/sign-in", {"token": api_tokens.add(hub.hub.fleet, "watching", Role.VIEWER)})
    connection = hub.connection()
    answer = events(connection, browser.cookies, "/live/sites/pump-7?hours=24")
    kind, told = next_event(answer)
    assert kind == "pieces"
    assert told["html"].keys() >= {"site-state", "site-balance", "site-streams", "site-facts"}
    api_tokens.revoke(hub.hub.fleet, "watching")
    assert next_event(answer)[0] == "ended"
    assert answer.read() == b""
    connection.close()


def test_a_hub_stops_at_once_though_pages_are_live(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        browser = Browser(hub).sign_in(Role.VIEWER)
        connection = hub.connection()
        answer = events(connection, browser.cookies, "/live")
        assert next_event(answer)[0] == "pieces"
    assert answer.read() == b""
    connection.close()


def raise_alert(hub: RunningHub) -> int:
    row = {
        "kind": Kind.GAP.value,
        "site": "pump-7",
        "stream": "boiler",
        "facet": "",
        "severity": Severity.CRITICAL.value,
        "phase": Phase.RAISED.value,
        "since_us": 1,
        "mark": "",
        "value": 3.0,
        "text": "3 records are nowhere",
        "raised_us": hub.hub.fleet.clock.now_us(),
    }
    with writing(hub.hub.engine) as connection:
        return int(connection.execute(insert(alerts).values(row).returning(alerts.c.id)).scalar_one())


def test_an_alert_is_shown_and_taken_care_of_under_ones_name(hub: RunningHub, signed_in: SignedIn) -> None:
    number = raise_alert(hub)
    viewer, operator = signed_in(Role.VIEWER), signed_in(Role.OPERATOR)
    time.sleep(FRESH_S)
    assert "3 records are nowhere" in viewer.get("/sites/pump-7").body.decode()
    shown = viewer.get("/alerts").body.decode()
    assert "3 records are nowhere" in shown
    assert "Acknowledge" not in shown
    assert "Acknowledge" in operator.get("/alerts").body.decode()
    assert viewer.do(f"/alerts/{number}/acknowledge").status == 403
    assert operator.do(f"/alerts/{number}/acknowledge").headers["location"] == "/alerts"
    told = hub.ask("GET", f"/v1/alerts/{number}", role=Role.VIEWER).json["alert"]
    assert (told["state"], told["acknowledged_by"]) == ("acknowledged", str(Role.OPERATOR))


def test_a_hub_that_was_never_audited_says_when_it_will_be(signed_in: SignedIn) -> None:
    assert "farshore-hub audit" in signed_in(Role.VIEWER).get("/audit").body.decode()


def test_a_rollout_is_shown_with_its_sites_and_stopped_and_let_go_on_under_ones_name(
    hub: RunningHub, signed_in: SignedIn
) -> None:
    desks = OrderDesks.of(hub.hub.fleet)
    assert "farshore-hub config apply" in signed_in(Role.VIEWER).get("/orders").body.decode()
    files = {"fleet.toml": "[seal]\nmax_records = 100\n"}
    number = desks.config.apply(files, Strategy(("1", "100%")), "<alice>").rollout
    viewer, operator = signed_in(Role.VIEWER), signed_in(Role.OPERATOR)
    time.sleep(FRESH_S)
    shown = viewer.get("/orders").body.decode()
    assert "&lt;alice&gt;" in shown
    assert "1, 100%" in shown
    assert "pump-7" in shown
    assert f"/rollouts/{number}/pause" not in shown
    assert f"/rollouts/{number}/pause" in operator.get("/orders").body.decode()
    assert viewer.do(f"/rollouts/{number}/pause").status == 403
    for deed in ("pause", "resume", "abort"):
        assert operator.do(f"/rollouts/{number}/{deed}").headers["location"] == "/orders"
    said = [(each.said_by, each.deed) for each in desks.rollouts.story(number).events]
    assert said == [("operator", "paused"), ("operator", "resumed"), ("operator", "aborted")]
    assert operator.do(f"/rollouts/{number}/abort").status == 409
