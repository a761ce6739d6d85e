"""Every route of the hub against everybody who could ask, over real TLS. A new route fails here until it has a row."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest
from cryptography import x509
from fastapi.routing import APIRoute

from farshore_hub.fleet import sites
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.ca import CertificateAuthority, Validity, pem_of
from farshore_hub.web.routes import (
    alerts,
    audit,
    config,
    fleet,
    followed,
    health,
    hours,
    misfits,
    orders,
    promises,
    records,
    reference,
    sites_door,
    tables,
)
from farshore_hub.web.routes import sites as sites_routes
from farshore_protocol import wire
from farshore_protocol.enrolment import JoinToken, RenewalRequest, read_membership, signed_renewal, write_token
from farshore_protocol.messages import Refused
from farshore_protocol.parcel import PARCEL_TYPE, parse_parcel
from farshore_protocol.tables import ASK_TYPE, Ask, Followed, open_pages, pack_ask
from tests.hub.fleet.site import DAY_S, DAY_US, SiteKeys
from tests.hub.web.parcels import Sender
from tests.hub.web.running import JSON, Member, Reply, RunningHub, with_certificate

PUBLIC: Final = "anybody"
SITE: Final = "a site"
OWN: Final = "a site, which gets what is its own"
BY_TOKEN: Final = "whoever has a join token"
BY_KEY: Final = "a site, by certificate or signing key"

ROUTES: Final = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/v1/ca"): PUBLIC,
    ("GET", "/v1/keyrings"): PUBLIC,
    ("POST", "/v1/enrol"): BY_TOKEN,
    ("POST", "/v1/renew"): BY_KEY,
    ("POST", "/v1/parcels"): SITE,
    ("POST", "/v1/followed"): OWN,
    ("GET", "/metrics"): Role.VIEWER,
    ("GET", "/v1/sites"): Role.VIEWER,
    ("GET", "/v1/sites/{name}"): Role.VIEWER,
    ("GET", "/v1/fleet"): Role.VIEWER,
    ("GET", "/v1/completeness"): Role.VIEWER,
    ("GET", "/v1/completeness/hours"): Role.VIEWER,
    ("GET", "/v1/audit"): Role.VIEWER,
    ("GET", "/v1/losses"): Role.VIEWER,
    ("GET", "/v1/forks"): Role.VIEWER,
    ("GET", "/v1/forks/{fork}"): Role.VIEWER,
    ("GET", "/v1/forks/{fork}/records"): Role.VIEWER,
    ("GET", "/v1/sites/{name}/statement"): Role.VIEWER,
    ("GET", "/v1/completeness/fleet"): Role.VIEWER,
    ("POST", "/v1/query"): Role.VIEWER,
    ("GET", "/v1/alerts"): Role.VIEWER,
    ("GET", "/v1/alerts/{number}"): Role.VIEWER,
    ("GET", "/v1/silences"): Role.VIEWER,
    ("GET", "/v1/expectations"): Role.VIEWER,
    ("GET", "/v1/objectives"): Role.VIEWER,
    ("GET", "/v1/maintenance"): Role.VIEWER,
    ("POST", "/v1/alerts/{number}/acknowledge"): Role.OPERATOR,
    ("POST", "/v1/silences"): Role.OPERATOR,
    ("POST", "/v1/silences/{number}/end"): Role.OPERATOR,
    ("POST", "/v1/maintenance"): Role.OPERATOR,
    ("POST", "/v1/maintenance/{number}/end"): Role.OPERATOR,
    ("GET", "/v1/streams/{stream}/records"): Role.VIEWER,
    ("GET", "/v1/tables"): Role.VIEWER,
    ("GET", "/v1/tables/{name}/rows"): Role.VIEWER,
    ("GET", "/v1/tables/{name}/edits"): Role.VIEWER,
    ("POST", "/v1/tables/{name}/rows"): Role.OPERATOR,
    ("POST", "/v1/tables/{name}/rows/delete"): Role.OPERATOR,
    ("GET", "/v1/tables/{name}/mappings"): Role.VIEWER,
    ("POST", "/v1/tables/{name}/mappings"): Role.OPERATOR,
    ("POST", "/v1/tables/{name}/replay"): Role.OPERATOR,
    ("POST", "/v1/tables/{name}/define"): Role.OPERATOR,
    ("POST", "/v1/tables/{name}/load"): Role.OPERATOR,
    ("GET", "/v1/misfits"): Role.VIEWER,
    ("GET", "/v1/misfits/{number}"): Role.VIEWER,
    ("GET", "/v1/conflicts"): Role.VIEWER,
    ("GET", "/v1/conflicts/{number}"): Role.VIEWER,
    ("POST", "/v1/conflicts/{number}/undo"): Role.OPERATOR,
    ("POST", "/v1/conflicts/{number}/resolve"): Role.OPERATOR,
    ("POST", "/v1/sites"): Role.OPERATOR,
    ("POST", "/v1/sites/{name}/token"): Role.OPERATOR,
    ("POST", "/v1/sites/{name}/revoke"): Role.ADMIN,
    ("POST", "/v1/sites/{name}/ask"): Role.OPERATOR,
    ("GET", "/v1/sites/{name}/labels"): Role.VIEWER,
    ("POST", "/v1/sites/{name}/labels"): Role.OPERATOR,
    ("GET", "/v1/sites/{name}/config"): Role.VIEWER,
    ("GET", "/v1/steering"): Role.VIEWER,
    ("GET", "/v1/steering/deeds"): Role.VIEWER,
    ("GET", "/v1/config/revisions"): Role.VIEWER,
    ("GET", "/v1/config/revisions/{number}"): Role.VIEWER,
    ("POST", "/v1/config/revisions/{number}/apply"): Role.OPERATOR,
    ("POST", "/v1/config/preview"): Role.OPERATOR,
    ("POST", "/v1/config"): Role.OPERATOR,
    ("GET", "/v1/secrets"): Role.VIEWER,
    ("POST", "/v1/secrets"): Role.OPERATOR,
    ("POST", "/v1/secrets/{secret}/delete"): Role.OPERATOR,
    ("GET", "/v1/rollouts"): Role.VIEWER,
    ("GET", "/v1/rollouts/{number}"): Role.VIEWER,
    ("POST", "/v1/rollouts/{number}/pause"): Role.OPERATOR,
    ("POST", "/v1/rollouts/{number}/resume"): Role.OPERATOR,
    ("POST", "/v1/rollouts/{number}/advance"): Role.OPERATOR,
    ("POST", "/v1/rollouts/{number}/abort"): Role.OPERATOR,
    ("GET", "/v1/commands"): Role.VIEWER,
    ("POST", "/v1/commands"): Role.OPERATOR,
    ("GET", "/v1/commands/{number}"): Role.VIEWER,
    ("GET", "/v1/commands/{number}/data"): Role.OPERATOR,
}
RECORDS: Final = [{"ts": 1_795_000_000, "n": 1}]
VICTIM: Final = "victim"


@dataclass(frozen=True)
class Asker:
    """Somebody, by what they bring."""

    context: ssl.SSLContext | None = None
    role: Role | None = None


@pytest.fixture(scope="module")
def victim(hub: RunningHub) -> Member:
    return hub.join(VICTIM)


@pytest.fixture(scope="module")
def askers(hub: RunningHub, victim: Member, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Asker]:
    """Everybody who is not the victim."""
    folder, ca, now_us = tmp_path_factory.mktemp("askers"), hub.hub.keys.ca, hub.hub.fleet.clock.now_us()

    def bearing(name: str, life_days: int = 30, age_days: int = 0) -> ssl.SSLContext:
        keys = SiteKeys(name)
        valid = Validity.beginning(now_us - age_days * DAY_US, timedelta(days=life_days))
        certificate = ca.issue_site(name, keys.tls.public_key(), valid, bytes([len(name), age_days]) * 8)
        return with_certificate(hub.context(), folder, keys, pem_of(certificate).decode())

    revoked = hub.join("revoked-one")
    sites.revoke(hub.hub.fleet, "revoked-one")
    return {
        "nobody": Asker(),
        "another site": Asker(hub.join("neighbour").context),
        "a revoked site": Asker(revoked.context),
        "a certificate that names the victim and that the hub does not know": Asker(bearing(VICTIM)),
        "an ended certificate that names the victim": Asker(bearing(VICTIM, age_days=60)),
        "a viewer": Asker(role=Role.VIEWER),
        "an operator": Asker(role=Role.OPERATOR),
        "an admin": Asker(role=Role.ADMIN),
        "another site with an admin's token": Asker(hub.join("both").context, Role.ADMIN),
    }


def test_every_route_has_a_row_in_this_table(hub: RunningHub) -> None:
    described = hub.ask("GET", "/openapi.json").json["paths"]
    routers = (
        alerts.router,
        audit.router,
        config.router,
        fleet.router,
        followed.router,
        health.router,
        hours.router,
        misfits.router,
        orders.router,
        promises.router,
        records.router,
        reference.router,
        sites_door.router,
        sites_routes.router,
        tables.router,
    )
    made = {
        (method, route.path)
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    told = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert made == told
    assert told | {("GET", "/openapi.json")} == ROUTES.keys()


@pytest.mark.parametrize("who", range(9))
def test_nobody_gets_through_a_route_that_is_not_theirs(
    hub: RunningHub, victim: Member, askers: dict[str, Asker], who: int
) -> None:
    name, asker = list(askers.items())[who]
    for (method, path), whose in ROUTES.items():
        reply = _ask_for_the_victim(hub, victim, asker, method, path)
        if whose == PUBLIC or (isinstance(whose, Role) and asker.role is not None and asker.role.covers(whose)):
            assert reply.status in {200, 201, 404, 409, 422}, (name, path, reply)
        elif isinstance(whose, Role):
            assert reply.status == (403 if asker.role else 401), (name, path, reply)
        elif whose == OWN and name.startswith("another site"):
            assert reply.status == 200, (name, path, reply)
            assert "not declared" in open_pages(reply.body).pages[0].refused
        else:
            assert reply.status in {401, 403}, (name, path, reply)
            assert reply.problem
    _assert_untouched(hub, victim)


def _ask_for_the_victim(hub: RunningHub, victim: Member, asker: Asker, method: str, path: str) -> Reply:
    bodies: dict[str, tuple[bytes, str]] = {
        "/v1/parcels": (Sender(victim.keys, victim.membership).parcel(RECORDS), PARCEL_TYPE),
        "/v1/enrol": (_enrolment(), "application/vnd.msgpack"),
        "/v1/renew": (victim.keys.unsigned_renewal(), "application/vnd.msgpack"),
        "/v1/followed": (pack_ask(Ask([Followed("goods")])), ASK_TYPE),
        "/v1/query": (b'{"sql": "SELECT 1"}', JSON),
        "/v1/sites": (b'{"name": "victim"}', JSON),
        "/v1/sites/{name}/token": (b"{}", JSON),
        "/v1/alerts/{number}/acknowledge": (b"{}", JSON),
        "/v1/silences": (b'{"lasts": "1 min"}', JSON),
        "/v1/maintenance": (b'{"sites": "nobody-here", "lasts": "1 s"}', JSON),
        "/v1/tables/{name}/rows": (b'{"key": [1], "cells": {"a": 1}}', JSON),
        "/v1/tables/{name}/rows/delete": (b'{"key": [1]}', JSON),
        "/v1/tables/{name}/mappings": (b'{"column": "a", "kind": "drop"}', JSON),
        "/v1/tables/{name}/replay": (b"", JSON),
        "/v1/tables/{name}/define": (b'{"key": {"a": "text"}}', JSON),
        "/v1/tables/{name}/load": (b'{"rows": []}', JSON),
        "/v1/conflicts/{number}/undo": (b"{}", JSON),
        "/v1/conflicts/{number}/resolve": (b'{"value": 1}', JSON),
        "/v1/sites/{name}/labels": (b'{"set": {"region": "north"}}', JSON),
        "/v1/config/preview": (b'{"files": {}}', JSON),
        "/v1/config": (b'{"files": {"sites/nobody-here.toml": ""}}', JSON),
        "/v1/config/revisions/{number}/apply": (b"{}", JSON),
        "/v1/secrets": (b'{"name": "no name", "value": "x"}', JSON),
        "/v1/rollouts/{number}/pause": (b"{}", JSON),
        "/v1/rollouts/{number}/resume": (b"{}", JSON),
        "/v1/rollouts/{number}/advance": (b"{}", JSON),
        "/v1/rollouts/{number}/abort": (b"{}", JSON),
        "/v1/commands": (b'{"sites": ["victim"], "command": "flush"}', JSON),
    }
    body, kind = bodies.get(path, (None, None)) if method == "POST" else (None, None)
    # An admin may revoke; here it is somebody who is not there.
    target = (
        path.replace("{name}", "nobody-here")
        .replace("{stream}", "boiler")
        .replace("{number}", "99999")
        .replace("{secret}", "NOTHING")
    )
    return hub.ask(method, target, body, kind=kind, role=asker.role, context=asker.context)


def _enrolment() -> bytes:
    guessed = write_token(JoinToken(["https://127.0.0.1"], VICTIM, bytes(16), bytes(32)))
    return SiteKeys(VICTIM).enrolment(guessed)


def _assert_untouched(hub: RunningHub, victim: Member) -> None:
    streams = hub.ask("GET", f"/v1/completeness?site={VICTIM}", role=Role.VIEWER).json["streams"]
    assert streams == []
    assert sites.find(hub.hub.fleet, VICTIM).state == "active"
    # Its certificate is as good as before.
    reply = hub.ask("POST", "/v1/parcels", b"x", kind=PARCEL_TYPE, context=victim.context)
    assert (reply.status, reply.problem) == (400, "malformed")


def _foreign_parcels(own: Sender, other: Sender) -> Iterator[tuple[str, bytes, set[int]]]:
    """Parcels that bring another site's goods, and the statuses that may answer them."""
    mine, theirs = parse_parcel(own.parcel(RECORDS)), parse_parcel(other.parcel(RECORDS))

    def packed(**parts: object) -> bytes:
        return b"FSP\x01" + wire.pack(msgspec.structs.replace(mine, **parts))

    yield "another site's whole parcel", b"FSP\x01" + wire.pack(theirs), {403}
    yield "another site's name on an own parcel", packed(site=theirs.site), {403}
    yield "another site's statement", packed(statement=theirs.statement), {403}
    yield (
        "another site's statement and signature",
        packed(statement=theirs.statement, signature=theirs.signature),
        {403},
    )
    yield "another site's key epoch", packed(epochs=theirs.epochs), {200}
    yield "another site's batch", packed(batches=theirs.batches), {200}
    yield "another site's epoch and batch", packed(epochs=theirs.epochs, batches=theirs.batches), {200}


def test_a_site_can_bring_nothing_of_another_site(hub: RunningHub) -> None:
    attacker, owner = hub.join("attacker"), hub.join("owner")
    own, other = Sender(attacker.keys, attacker.membership), Sender(owner.keys, owner.membership)
    for what, parcel, statuses in _foreign_parcels(own, other):
        reply = hub.ask("POST", "/v1/parcels", parcel, kind=PARCEL_TYPE, context=attacker.context)
        assert reply.status in statuses, (what, reply)
        if reply.status == 200:
            answer = own.read_answer(reply.body)
            reasons = {refusal.reason for refusal in answer.refusals}
            assert reasons <= {Refused.NOT_AUTHENTIC, Refused.UNKNOWN_EPOCH}, what
            assert reasons, what
            assert all(account.stored == [] for account in answer.accounts), what
            assert other.epoch not in answer.held, what
    assert hub.ask("GET", "/v1/completeness?site=owner", role=Role.VIEWER).json["streams"] == []
    # The genuine ones are taken afterwards.
    for member, sender in ((owner, other), (attacker, own)):
        taken = hub.ask("POST", "/v1/parcels", sender.parcel(RECORDS), kind=PARCEL_TYPE, context=member.context)
        assert sender.read_answer(taken.body).accounts[0].stored == [1, 1]


def test_a_site_cannot_renew_or_enrol_for_another(hub: RunningHub) -> None:
    attacker, owner = hub.join("climber"), hub.join("climbed")
    csr = attacker.keys.csr()
    for name in ("climbed", "climber"):
        signature = attacker.keys.signing.sign(signed_renewal(name, csr))
        request = wire.pack(RenewalRequest("climbed", csr, signature))
        reply = hub.ask("POST", "/v1/renew", request, kind="application/vnd.msgpack", context=attacker.context)
        assert (reply.status, reply.problem) == (403, "not-authentic")
    token = sites.fresh_token(hub.hub.fleet, "climber", DAY_S)
    stolen = SiteKeys("climbed").enrolment(token)
    reply = hub.ask("POST", "/v1/enrol", stolen, kind="application/vnd.msgpack", context=attacker.context)
    assert (reply.status, reply.problem) == (403, "token-refused")
    assert hub.ask("POST", "/v1/parcels", b"x", kind=PARCEL_TYPE, context=owner.context).status == 400


def test_a_signing_request_that_asks_for_another_name_gets_the_own_one(hub: RunningHub) -> None:
    keys = SiteKeys("modest")
    token = sites.add(hub.hub.fleet, "modest", DAY_S)
    keys.name = VICTIM
    csr = keys.csr()
    keys.name = "modest"
    reply = hub.ask("POST", "/v1/enrol", keys.enrolment(token, csr=csr), kind="application/vnd.msgpack")
    certificate = x509.load_pem_x509_certificate(read_membership(reply.body).certificate.encode())
    assert certificate.subject.rfc4514_string() == "CN=modest"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["modest"]


# -------------------------------------------------------- certificates that TLS refuses


def _foreign(hub: RunningHub, keys: SiteKeys) -> list[x509.Certificate]:
    now_us = hub.hub.fleet.clock.now_us()
    other = CertificateAuthority.create(hub.hub.keys.hub, now_us, bytes(16))
    valid = Validity.beginning(now_us, timedelta(days=1))
    return [other.issue_site(keys.name, keys.tls.public_key(), valid, b"\x05" * 16)]


def _self_signed(hub: RunningHub, keys: SiteKeys) -> list[x509.Certificate]:
    valid = Validity.beginning(hub.hub.fleet.clock.now_us(), timedelta(days=1))
    own = CertificateAuthority(hub.hub.keys.ca.certificate, keys.tls)
    return [own.issue_site(keys.name, keys.tls.public_key(), valid, b"\x06" * 16)]


def _for_servers(hub: RunningHub, keys: SiteKeys) -> list[x509.Certificate]:
    now_us = hub.hub.fleet.clock.now_us()
    return [hub.hub.keys.ca.issue_server([], keys.tls.public_key(), now_us, b"\x07" * 16)]


def _signed_by_a_site(hub: RunningHub, keys: SiteKeys) -> list[x509.Certificate]:
    member = hub.join(f"authority-{keys.name}")
    parent = x509.load_pem_x509_certificate(member.membership.certificate.encode())
    valid = Validity.beginning(hub.hub.fleet.clock.now_us(), timedelta(days=1))
    child = CertificateAuthority(parent, member.keys.tls).issue_site(
        keys.name, keys.tls.public_key(), valid, b"\x08" * 16
    )
    return [child, parent]


@pytest.mark.parametrize("make", [_foreign, _self_signed, _for_servers, _signed_by_a_site])
def test_a_certificate_that_the_hubs_authority_did_not_make_for_a_site_gets_no_connection(
    hub: RunningHub, tmp_path: Path, make: Callable[[RunningHub, SiteKeys], list[x509.Certificate]]
) -> None:
    keys = SiteKeys(f"forger{make.__name__.replace('_', '-')}")
    chain = "".join(pem_of(each).decode() for each in make(hub, keys))
    context = with_certificate(hub.context(), tmp_path, keys, chain)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        hub.ask("GET", "/healthz", context=context)


def test_there_is_no_session_to_resume_that_could_outlive_the_revocation(hub: RunningHub) -> None:
    """A ticket would hold the site's certificate, twice; a site keeps its connection, and never comes back with one."""
    member = hub.join("resumer")
    first = hub.connection(member.context)
    with contextlib.closing(first):
        first.request("POST", "/v1/parcels", b"x", {"Content-Type": PARCEL_TYPE})
        answer = first.getresponse()
        assert (answer.status, bool(answer.read())) == (400, True)
        assert isinstance(first.sock, ssl.SSLSocket)
        session = first.sock.session
    assert session is not None
    assert not session.has_ticket
    sites.revoke(hub.hub.fleet, "resumer")
    with (
        socket.create_connection(("127.0.0.1", hub.port)) as plain,
        member.context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as again,
    ):
        body = b"POST /v1/parcels HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 1\r\n\r\nx"
        again.sendall(body % PARCEL_TYPE.encode())
        assert again.recv(100).startswith(b"HTTP/1.1 403 ")
        assert not again.session_reused


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2"])
def test_nothing_older_than_tls_1_3_is_spoken(hub: RunningHub, version: str) -> None:
    context = hub.context()
    with pytest.warns(DeprecationWarning, match="deprecated") if version != "TLSv1_2" else contextlib.nullcontext():
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        hub.ask("GET", "/healthz", context=context)


def test_trace_is_not_spoken(hub: RunningHub) -> None:
    assert hub.ask("TRACE", "/healthz").status == 405


def test_who_asks_for_itself_gets_through(hub: RunningHub) -> None:
    """The control of all the refusals."""
    member = hub.join("itself")
    parcel = Sender(member.keys, member.membership).parcel(RECORDS)
    assert hub.ask("POST", "/v1/parcels", parcel, kind=PARCEL_TYPE, context=member.context).status == 200
    renewal = member.keys.unsigned_renewal()
    assert hub.ask("POST", "/v1/renew", renewal, kind="application/vnd.msgpack", context=member.context).status == 200
