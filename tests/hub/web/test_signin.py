"""Who may do what: sites by certificate over real TLS, people by token and role."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from farshore_hub.fleet import api_tokens, sites
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.ca import CertificateAuthority, Validity, pem_of, serial_number
from farshore_hub.fleet.enrol import certificate_id
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import writing
from farshore_protocol.enrolment import read_membership
from farshore_protocol.parcel import PARCEL_TYPE
from tests.hub.fleet.site import DAY_S, DAY_US, SiteKeys
from tests.hub.web.running import JSON, RunningHub, with_certificate

MSGPACK = "application/vnd.msgpack"

ROUTES = [
    ("GET", "/v1/sites", None, Role.VIEWER),
    ("GET", "/v1/sites/nobody", None, Role.VIEWER),
    ("GET", "/v1/fleet", None, Role.VIEWER),
    ("GET", "/v1/completeness", None, Role.VIEWER),
    ("POST", "/v1/query", {"sql": "SELECT 1 AS one"}, Role.VIEWER),
    ("GET", "/v1/streams/nothing/records", None, Role.VIEWER),
    ("GET", "/metrics", None, Role.VIEWER),
    ("POST", "/v1/sites", {"name": "NOT ALLOWED"}, Role.OPERATOR),
    ("POST", "/v1/sites/nobody/token", {}, Role.OPERATOR),
    ("POST", "/v1/sites/nobody/revoke", None, Role.ADMIN),
]


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize(("method", "path", "content", "needed"), ROUTES)
def test_each_role_may_do_what_it_covers_and_no_more(
    hub: RunningHub, method: str, path: str, content: object, needed: Role, role: Role | None
) -> None:
    body = None if content is None else json.dumps(content).encode()
    reply = hub.ask(method, path, body, kind=JSON if body else None, role=role)
    if role is None:
        assert (reply.status, reply.problem) == (401, "unauthenticated")
        assert reply.headers["www-authenticate"] == "Bearer"
    elif role.covers(needed):
        assert reply.status in {200, 404, 422}
    else:
        assert (reply.status, reply.problem) == (403, "forbidden")


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer ", "Bearer fsh_wrong", "Basic YTpi", "Bearer " + "x" * 5000]
)
def test_a_wrong_token_is_refused(hub: RunningHub, authorization: str) -> None:
    reply = hub.ask("GET", "/v1/sites", headers={"Authorization": authorization})
    assert (reply.status, reply.problem) == (401, "unauthenticated")


def test_a_revoked_token_is_refused_at_once(hub: RunningHub) -> None:
    headers = {"Authorization": f"Bearer {api_tokens.add(hub.hub.fleet, 'short-lived', Role.VIEWER)}"}
    assert hub.ask("GET", "/v1/sites", headers=headers).status == 200
    api_tokens.revoke(hub.hub.fleet, "short-lived")
    assert hub.ask("GET", "/v1/sites", headers=headers).status == 401


def test_a_site_joins_over_the_wire_and_is_known_by_its_certificate(hub: RunningHub) -> None:
    made = hub.ask("POST", "/v1/sites", b'{"name": "wired"}', kind=JSON, role=Role.OPERATOR)
    keys = SiteKeys("wired")
    reply = hub.ask("POST", "/v1/enrol", keys.enrolment(made.json["token"]), kind=MSGPACK)
    assert (made.status, reply.status, reply.headers["content-type"]) == (201, 200, MSGPACK)
    member = hub.member(keys, read_membership(reply.body))
    refused = hub.ask("POST", "/v1/parcels", b"no parcel", kind=PARCEL_TYPE, context=member.context)
    assert (refused.status, refused.problem) == (400, "malformed")


def test_of_two_that_enrol_with_one_token_at_once_one_wins(hub: RunningHub) -> None:
    token = sites.add(hub.hub.fleet, "raced", DAY_S)

    def attempt(_: int) -> int:
        return hub.ask("POST", "/v1/enrol", SiteKeys("raced").enrolment(token), kind=MSGPACK).status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [200, 403, 403, 403]


def test_a_parcel_without_a_certificate_is_refused(hub: RunningHub) -> None:
    reply = hub.ask("POST", "/v1/parcels", b"x", kind=PARCEL_TYPE)
    assert (reply.status, reply.problem) == (401, "unauthenticated")


def test_an_admin_is_no_site(hub: RunningHub) -> None:
    assert hub.ask("POST", "/v1/parcels", b"x", kind=PARCEL_TYPE, role=Role.ADMIN).status == 401


def test_a_site_is_nobody_to_the_routes_for_people(hub: RunningHub) -> None:
    assert hub.ask("GET", "/v1/sites", context=hub.join("curious").context).status == 401


def test_a_revoked_site_is_refused_in_the_middle_of_a_connection(hub: RunningHub) -> None:
    member = hub.join("stolen")
    connection = hub.connection(member.context)
    said = []
    for _ in range(2):
        connection.request("POST", "/v1/parcels", b"x", {"Content-Type": PARCEL_TYPE})
        answer = connection.getresponse()
        said.append((answer.status, json.loads(answer.read())["type"]))
        hub.ask("POST", "/v1/sites/stolen/revoke", role=Role.ADMIN)
    connection.close()
    assert said == [(400, "urn:farshore:problem:malformed"), (403, "urn:farshore:problem:site-revoked")]


def test_a_certificate_of_a_foreign_authority_gets_no_connection(hub: RunningHub, tmp_path: Path) -> None:
    foreign, keys = CertificateAuthority.create(bytes(8), hub.hub.fleet.clock.now_us(), bytes(16)), SiteKeys("a")
    valid = Validity.beginning(hub.hub.fleet.clock.now_us(), timedelta(days=1))
    certificate = foreign.issue_site("a", keys.tls.public_key(), valid, b"\x01" * 16)
    context = with_certificate(hub.context(), tmp_path, keys, pem_of(certificate).decode())
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        hub.ask("GET", "/healthz", context=context)
    assert hub.ask("GET", "/healthz").status == 200


def test_a_certificate_that_the_authority_signed_and_the_hub_does_not_know_is_refused(
    hub: RunningHub, tmp_path: Path
) -> None:
    keys = SiteKeys("unknown")
    valid = Validity.beginning(hub.hub.fleet.clock.now_us(), timedelta(days=1))
    certificate = hub.hub.keys.ca.issue_site("unknown", keys.tls.public_key(), valid, b"\x02" * 16)
    context = with_certificate(hub.context(), tmp_path, keys, pem_of(certificate).decode())
    reply = hub.ask("POST", "/v1/parcels", b"x", kind=PARCEL_TYPE, context=context)
    assert (reply.status, reply.problem) == (401, "unauthenticated")


def test_an_ended_certificate_is_told_so_and_may_still_ask_for_a_new_one(hub: RunningHub, tmp_path: Path) -> None:
    keys, fleet = SiteKeys("late"), hub.hub.fleet
    hub.join("late", keys)
    then = fleet.clock.now_us() - 60 * DAY_US
    valid, serial = Validity.beginning(then, timedelta(days=30)), b"\x03" * 16
    ended = hub.hub.keys.ca.issue_site("late", keys.tls.public_key(), valid, serial)
    with writing(fleet.engine) as connection:
        site = store.find_site(connection, "late")
        assert site
        store.insert_certificate(connection, certificate_id(serial_number(serial)), site.id, then, valid.end_us)
    context = with_certificate(hub.context(), tmp_path, keys, pem_of(ended).decode())
    reply = hub.ask("POST", "/v1/parcels", b"x", kind=PARCEL_TYPE, context=context)
    assert (reply.status, reply.problem) == (401, "unauthenticated")
    assert "has ended" in reply.json["detail"]
    assert hub.ask("POST", "/v1/renew", keys.unsigned_renewal(), kind=MSGPACK, context=context).status == 403
    assert hub.ask("POST", "/v1/renew", keys.renewal(), kind=MSGPACK, context=context).status == 200
    assert hub.ask("POST", "/v1/renew", keys.renewal(), kind=MSGPACK).status == 200


def test_only_tls_1_3_is_spoken(hub: RunningHub) -> None:
    context = hub.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        hub.ask("GET", "/healthz", context=context)


def test_the_hubs_name_in_its_certificate_serves_for_every_address(hub: RunningHub) -> None:
    with (
        socket.create_connection(("127.0.0.1", hub.port)) as plain,
        hub.context().wrap_socket(plain, server_hostname="farshore-hub") as secured,
    ):
        assert secured.version() == "TLSv1.3"


def test_the_authority_is_public(hub: RunningHub) -> None:
    reply = hub.ask("GET", "/v1/ca")
    assert (reply.status, reply.body) == (200, hub.hub.keys.ca.pem)
