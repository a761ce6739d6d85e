"""Hostile and clumsy clients: every one gets a 4xx that says why, or its connection closed; nobody else notices."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from farshore_hub.fleet.api_tokens import Role
from farshore_hub.web import tls
from farshore_protocol.limits import MAX_ENROLMENT_BYTES, MAX_PARCEL_BYTES
from farshore_protocol.parcel import PARCEL_TYPE
from tests.hub.web.running import JSON, RunningHub, running_hub

MSGPACK = "application/vnd.msgpack"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub without TLS, whose limits are easy to reach."""
    limits = '[web]\nbody_timeout = "1 s"\n'
    with running_hub(tmp_path_factory.mktemp("plain"), tls=False, extra_settings=limits) as running:
        yield running


def raw_reply(hub: RunningHub, *pieces: bytes) -> bytes:
    """What the hub answers to exactly these bytes until it closes, or until the answer is complete."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
        except (http.client.BadStatusLine, ConnectionError):
            return b""
        return f"{answer.status} ".encode() + answer.read()


@pytest.mark.parametrize(
    ("path", "kind", "most"),
    [("/v1/parcels", PARCEL_TYPE, MAX_PARCEL_BYTES), ("/v1/enrol", MSGPACK, MAX_ENROLMENT_BYTES)],
)
def test_a_body_that_is_announced_too_large_is_refused_before_it_is_read(
    hub: RunningHub, path: str, kind: str, most: int
) -> None:
    context = hub.join(f"large-{most}").context
    connection = hub.connection(context)
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", kind)
    connection.putheader("Content-Length", str(most + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["type"]) == (413, "urn:farshore:problem:over-limit")
    connection.close()


def test_a_body_that_grows_too_large_is_refused_while_it_is_read(hub: RunningHub) -> None:
    pieces = (b"x" * 8192 for _ in range(MAX_ENROLMENT_BYTES // 8192 + 1))
    connection = hub.connection()
    connection.request("POST", "/v1/enrol", pieces, {"Content-Type": MSGPACK}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("length", ["-1", "1e3", "", "9" * 30, "9" * 5000])
def test_a_length_that_is_none_is_refused(plain: RunningHub, length: str) -> None:
    head = f"POST /v1/enrol HTTP/1.1\r\nHost: a\r\nContent-Type: {MSGPACK}\r\nContent-Length: {length}\r\n\r\n"
    assert raw_reply(plain, head.encode())[:1] == b"4"


@pytest.mark.parametrize(
    ("path", "right"), [("/v1/enrol", MSGPACK), ("/v1/renew", MSGPACK), ("/v1/sites", JSON), ("/v1/query", JSON)]
)
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ";"])
def test_a_body_of_the_wrong_type_is_refused_by_name(hub: RunningHub, path: str, right: str, kind: str | None) -> None:
    reply = hub.ask("POST", path, b"{}", kind=kind, role=Role.ADMIN)
    assert (reply.status, reply.problem) == (415, "wrong-media-type")
    assert right in reply.json["remedy"]


def test_a_compressed_body_is_refused_by_name(hub: RunningHub) -> None:
    reply = hub.ask("POST", "/v1/enrol", b"x", kind=MSGPACK, headers={"Content-Encoding": "gzip"})
    assert (reply.status, reply.problem) == (415, "wrong-media-type")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 20_000, 400),
        (b"null", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"name": 5}', 422),
        (b'{"name": "a", "more": 1}', 422),
        (b'{"name": "a", "expires": 5}', 422),
        (b'{"name": "a", "expires": "soon"}', 422),
        (b'{"name": "a/b"}', 422),
        (b'{"name": "' + b"a" * 70_000 + b'"}', 413),
    ],
)
def test_bad_json_is_refused_with_a_reason(hub: RunningHub, body: bytes, status: int) -> None:
    reply = hub.ask("POST", "/v1/sites", body, kind=JSON, role=Role.OPERATOR)
    assert (reply.status, bool(reply.problem)) == (status, True)


BINARY_ROUTES = ["/v1/parcels", "/v1/enrol", "/v1/renew"]


@settings(max_examples=15)
@given(body=st.binary(max_size=200))
def test_garbage_in_a_body_is_only_ever_refused(hub: RunningHub, garbage_context: ssl.SSLContext, body: bytes) -> None:
    for path in BINARY_ROUTES:
        kind = PARCEL_TYPE if path == "/v1/parcels" else MSGPACK
        reply = hub.ask("POST", path, body, kind=kind, context=garbage_context)
        assert 400 <= reply.status < 500
        assert reply.problem


@pytest.fixture(scope="module")
def garbage_context(hub: RunningHub) -> ssl.SSLContext:
    return hub.join("garbage").context


@settings(max_examples=40)
@given(path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60))
def test_strange_paths_and_queries_are_only_ever_refused(plain: RunningHub, path: str) -> None:
    for prefix in ("/", "/v1/sites/", "/v1/streams/", "/v1/completeness?", "/v1/streams/a/records?"):
        reply = plain.ask("GET", prefix + path, role=Role.VIEWER)
        assert reply.status < 500


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/enrol HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(5000)) + b"\r\n",
    ],
)
def test_what_is_not_http_gets_a_4xx_and_hurts_nobody(plain: RunningHub, raw: bytes) -> None:
    answer = raw_reply(plain, raw)
    assert answer == b"" or answer[:1] == b"4", answer
    assert plain.ask("GET", "/healthz").status == 200


def test_a_head_without_end_is_refused(plain: RunningHub) -> None:
    answer = raw_reply(plain, b"GET /healthz HTTP/1.1\r\nX: ", *[b"y" * 8192] * 8)
    assert answer == b"" or answer.startswith((b"431 ", b"400 "))


def test_the_bound_of_a_head_starts_anew_with_every_request(plain: RunningHub) -> None:
    connection = plain.connection()
    for _ in range(5):
        connection.request("GET", "/healthz", headers={"X": "y" * (tls.MAX_HEAD_BYTES // 2)})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    connection.close()


def test_an_upgrade_is_not_followed(plain: RunningHub) -> None:
    wanted = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert raw_reply(plain, wanted).startswith(b"200 ")


def test_a_body_that_does_not_come_is_not_waited_for(plain: RunningHub) -> None:
    head = f"POST /v1/enrol HTTP/1.1\r\nHost: a\r\nContent-Type: {MSGPACK}\r\nContent-Length: 100\r\n\r\n"
    assert raw_reply(plain, head.encode(), b"only this").startswith(b"408 ")


def test_a_head_that_does_not_come_is_not_waited_for(plain: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HEAD_TIMEOUT_S", 0.2)
    assert raw_reply(plain, b"GET /healthz HT") == b""


def test_clients_that_vanish_hurt_nobody(hub: RunningHub) -> None:
    for piece in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", hub.port)) as connection:
            connection.sendall(piece)
    with socket.create_connection(("127.0.0.1", hub.port)) as connection:
        head = f"POST /v1/enrol HTTP/1.1\r\nContent-Length: 1000\r\nContent-Type: {MSGPACK}\r\n\r\n"
        with hub.context().wrap_socket(connection, server_hostname="farshore-hub") as secured:
            secured.sendall(head.encode() + b"half")
    assert hub.ask("GET", "/healthz").status == 200


def test_connections_over_the_bound_are_closed_and_others_go_on(tmp_path: Path) -> None:
    with running_hub(tmp_path, tls=False, extra_settings="[web]\nmax_connections = 3\n") as few:
        kept = [few.connection() for _ in range(3)]
        for connection in kept:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            few.ask("GET", "/healthz")
        kept[0].request("GET", "/healthz")
        assert kept[0].getresponse().status == 200
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/v1/sites", 405)])
def test_what_is_not_there_is_told_as_a_problem(hub: RunningHub, method: str, path: str, status: int) -> None:
    reply = hub.ask(method, path)
    assert (reply.status, bool(reply.problem)) == (status, True)


def test_a_database_that_refuses_is_told_as_such(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("database or disk is full"))

    monkeypatch.setattr("farshore_hub.fleet.sites.listing", refuse)
    reply = hub.ask("GET", "/v1/sites", role=Role.VIEWER)
    assert (reply.status, reply.problem) == (503, "not-ready")
    assert int(reply.headers["retry-after"]) > 0


def test_a_fault_of_the_hub_tells_no_internals(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farshore_hub.fleet.sites.listing", lambda _: 1 / 0)
    reply = hub.ask("GET", "/v1/sites", role=Role.VIEWER)
    assert (reply.status, reply.problem) == (500, "internal")
    assert "ivision" not in str(reply.json)
