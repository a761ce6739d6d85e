"""The HTTPS link over real TLS: what a hub answers, and what it means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.errors import LinkError
from farshore_agent.forward.https import HttpsLink
from farshore_agent.forward.hub_http import HubHttp, endpoint, read_problem, read_retry_after
from farshore_agent.forward.link import LinkBusy, LinkDown, LinkRefused
from farshore_agent.identity.enrol import enrol, parse_token
from farshore_agent.identity.tls import pinned_context, unverified_context
from farshore_agent.net.messages import Response
from farshore_protocol.urgency import Urgency
from farshore_shell.system import real_world
from tests.agent.forward.hub_stub import HubStub, Problem

WORLD = real_world()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubStub]:
    async with HubStub(tmp_path) as hub:
        yield hub


@pytest.fixture
async def http(hub: HubStub, tmp_path: Path) -> AsyncIterator[HubHttp]:
    identity = await enrol(parse_token(hub.token()), WORLD)
    identity.save(tmp_path / "identity")
    tls = pinned_context(identity.membership.ca, identity.write_chain(tmp_path / "identity"))
    http = HubHttp(["127.0.0.1:1", *hub.addresses], tls, WORLD.clock)
    yield http
    await http.close()


async def exchanged(http: HubHttp) -> bytes:
    """With the second address: the first is nobody's."""
    link = HttpsLink(http)
    with pytest.raises(LinkDown):
        await link.exchange(b"first", urgency=Urgency(), timeout_s=5)
    return await link.exchange(b"parcel", urgency=Urgency(), timeout_s=5)


async def test_a_busy_hub_says_for_how_long(hub: HubStub, http: HubHttp) -> None:
    hub.faults = [Problem(503, "busy", "too much to do", headers=["retry-after: 17"])]
    with pytest.raises(LinkBusy, match="too much to do") as busy:
        await exchanged(http)
    assert busy.value.retry_after_s == 17


async def test_a_refusal_keeps_the_hubs_words(hub: HubStub, http: HubHttp) -> None:
    hub.faults = [Problem(403, "site-revoked", "site ship-1 is revoked")]
    with pytest.raises(LinkRefused, match="ship-1 is revoked") as refused:
        await exchanged(http)
    assert (refused.value.problem.status, refused.value.problem.kind) == (403, "site-revoked")


async def test_what_a_proxy_says_is_not_the_hubs_refusal(hub: HubStub, http: HubHttp) -> None:
    hub.faults = [Problem(502, "bad-gateway", "")]
    with pytest.raises(LinkDown):
        await exchanged(http)


@pytest.mark.parametrize("status", [200, 302])
async def test_the_page_of_a_portal_is_not_the_hubs_answer(hub: HubStub, http: HubHttp, status: int) -> None:
    hub.faults = [Problem(status, "", "sign in", headers=["content-type: text/html", "location: http://portal/"])]
    with pytest.raises(LinkDown, match="something else than the hub") as down:
        await exchanged(http)
    assert "portal" in down.value.remedy


async def test_parcels_share_one_connection(hub: HubStub, http: HubHttp) -> None:
    before = hub.connections
    hub.faults = [Problem(429, "busy", "") for _ in range(4)]
    with pytest.raises(LinkBusy):
        await exchanged(http)
    for _ in range(3):
        with pytest.raises(LinkBusy):
            await HttpsLink(http).exchange(b"parcel", urgency=Urgency(), timeout_s=5)
    assert hub.connections == before + 1


async def test_a_hub_of_another_ca_is_not_spoken_to(hub: HubStub, tmp_path: Path) -> None:
    stranger = HubStub(tmp_path)
    ca = parse_token(hub.token())
    async with stranger:
        identity = await enrol(ca, WORLD)
        http = HubHttp(stranger.addresses, pinned_context(identity.membership.ca), WORLD.clock)
        with pytest.raises(LinkDown, match="not trusted") as down:
            await http.ask("GET", "/v1/ca")
    assert "enrol again" in down.value.remedy
    assert stranger.requests == []


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("hub.example.org:8443", "hub.example.org:8443"),
        ("https://hub.example.org", "hub.example.org:443"),
        ("https://[::1]:8443/", "::1:8443"),
    ],
)
def test_addresses_are_read_with_and_without_their_scheme(address: str, shown: str) -> None:
    assert str(endpoint(address, unverified_context())) == shown


@pytest.mark.parametrize("address", ["http://hub:80", "https://", "https://hub:port", "ftp://hub", ""])
def test_what_is_no_address_has_a_remedy(address: str) -> None:
    with pytest.raises(LinkError, match="not an address") as bad:
        endpoint(address, unverified_context())
    assert bad.value.remedy


@given(st.binary(max_size=200), st.integers(400, 599))
def test_any_body_becomes_a_problem(body: bytes, status: int) -> None:
    assert read_problem(Response(status, body)).title


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert read_retry_after(value, now_us=10_000_000) == seconds
