"""Somebody stands between a site and its hub, with a TLS certificate of an authority of their own."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from farshore_agent.forward.hub_http import HubHttp
from farshore_agent.forward.link import LinkDown
from farshore_agent.identity.answer import WrongHub
from farshore_agent.identity.enrol import enrol, parse_token
from farshore_agent.identity.renewal import renew
from farshore_agent.identity.road import TlsRoad
from farshore_agent.identity.tls import pinned_context
from farshore_hub.fleet import sites
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import reading
from farshore_protocol.enrolment import read_token, write_token
from farshore_protocol.errors import NotAuthentic
from farshore_protocol.parcel import PARCEL_TYPE
from farshore_shell.system import real_world
from tests.hub.fleet.site import DAY_S
from tests.hub.web.parcels import Sender
from tests.hub.web.running import RunningHub, running_hub


@pytest.fixture(scope="module")
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """Another hub: the same program, and other keys."""
    with running_hub(tmp_path_factory.mktemp("impostor")) as running:
        yield running


def token_by_way_of(hub: RunningHub, name: str, other: RunningHub) -> str:
    """A token of `hub` whose addresses lead to `other`."""
    token = read_token(sites.add(hub.hub.fleet, name, DAY_S))
    return write_token(msgspec.structs.replace(token, addresses=[f"https://127.0.0.1:{other.port}"]))


async def test_an_impostor_is_told_no_secret_at_enrolment(hub: RunningHub, impostor: RunningHub) -> None:
    text = token_by_way_of(hub, "intercepted", impostor)
    with pytest.raises(WrongHub, match="SHA-256"):
        await enrol(parse_token(text), real_world())
    with reading(hub.hub.fleet.engine) as connection:
        kept = store.find_join_token(connection, sites.hash_of(read_token(text).secret))
    assert kept is not None
    assert kept.used_us is None


async def test_a_member_neither_delivers_nor_renews_through_an_impostor(
    hub: RunningHub, impostor: RunningHub, tmp_path: Path
) -> None:
    identity = await enrol(parse_token(token_by_way_of(hub, "careful", hub)), real_world())
    identity.save(tmp_path)
    address = f"https://127.0.0.1:{impostor.port}"
    context = pinned_context(identity.membership.ca, identity.write_chain(tmp_path))
    link = HubHttp([address], context, real_world().clock)
    with pytest.raises(LinkDown, match="not trusted"):
        await link.ask("POST", "/v1/parcels", b"x", content_type=PARCEL_TYPE)
    await link.close()
    with pytest.raises(LinkDown, match="not trusted"):
        await renew(identity, tmp_path, [address], TlsRoad(real_world().clock))


def test_an_answer_that_another_hub_signed_is_not_believed(hub: RunningHub, impostor: RunningHub) -> None:
    here, there = hub.join("answered"), impostor.join("answered")
    sender = Sender(there.keys, there.membership)
    reply = impostor.ask("POST", "/v1/parcels", sender.parcel([{"n": 1}]), kind=PARCEL_TYPE, context=there.context)
    assert sender.read_answer(reply.body).accounts[0].stored == [1, 1]
    with pytest.raises(NotAuthentic):
        Sender(here.keys, here.membership).read_answer(reply.body)


def test_the_agent_speaks_nothing_older_than_tls_1_3(hub: RunningHub) -> None:
    context = pinned_context(hub.hub.keys.ca.pem.decode())
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_no_answer_may_be_kept_in_a_cache(hub: RunningHub) -> None:
    for reply in (hub.ask("GET", "/healthz"), hub.ask("GET", "/v1/sites", role=Role.VIEWER), hub.ask("GET", "/v1/x")):
        assert (reply.headers["cache-control"], reply.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_who_is_refused_is_in_the_log_without_what_they_brought(
    hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "farshore_hub")
    hub.ask("GET", "/v1/sites", headers={"Authorization": "Bearer fsh_canary-token"})
    hub.ask("POST", "/v1/sites/canary-name/revoke", role=Role.VIEWER)
    assert "refused GET /v1/sites from 127.0.0.1: unauthenticated" in caplog.messages
    assert "refused POST /v1/sites/{name}/revoke from 127.0.0.1: forbidden" in caplog.messages
    assert "canary" not in caplog.text.replace("uvicorn", "")
