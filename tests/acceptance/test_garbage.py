"""Garbage at every door: it is answered clearly, kept where it is data, and hurts nobody else."""

from __future__ import annotations

import gzip
import json
import random
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.acceptance.client import Client
from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.records import canonical
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import READINGS, REQUESTS, TEMPERATURES, Site

TS: Final = b'"ts":"2026-11-23T08:30:00Z"'
DEEP: Final = 10_000

BAD_RECORDS: Final[dict[str, tuple[bytes, str | None, str]]] = {
    "a list": (b"[1,2]", None, "object"),
    "a number": (b"7", None, "object"),
    "a text": (b'"hello"', None, "object"),
    "null": (b"null", None, "object"),
    "an empty object": (b"{}", None, "empty"),
    "no JSON": (b"hello", None, ""),
    "a truncated line": (b"{" + TS + b',"value":', None, ""),
    "NaN": (b"{" + TS + b',"value":NaN}', None, ""),
    "Infinity": (b"{" + TS + b',"value":-Infinity}', None, ""),
    "a number without end": (b"{" + TS + b',"value":1e999}', None, ""),
    "a huge integer": (b"{" + TS + b',"value":' + b"9" * 400 + b"}", "value", "bits"),
    "an integer beyond reading": (b"{" + TS + b',"value":' + b"9" * 5000 + b"}", "value", "bits"),
    "a text over 1 MB": (b"{" + TS + b',"value":"' + b"x" * 1_100_000 + b'"}', None, "bytes"),
    "too deep": (b"{" + TS + b',"value":' + b"[" * DEEP + b"]" * DEEP + b"}", None, ""),
    "deep objects": (b"{" + TS + b',"value":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", None, ""),
    "invalid UTF-8": (b"{" + TS + b',"value":"\xff\xfe"}', None, ""),
    "half a surrogate pair": (b"{" + TS + b',"value":"\\ud800"}', None, ""),
    "a NUL byte": (b"{" + TS + b',"value":"\x00"}', None, ""),
    "no time": (b'{"value":1}', "ts", ""),
    "null for a time": (b'{"ts":null}', "ts", ""),
    "a time that is none": (b'{"ts":"yesterday"}', "ts", ""),
    "the year 1": (b'{"ts":"0001-01-01T00:00:00Z"}', "ts", "clock"),
    "the year 9999": (b'{"ts":"9999-12-31T23:59:59Z"}', "ts", "clock"),
    "a time of the wrong type": (b'{"ts":{"year":2026}}', "ts", ""),
    "two objects": (b"{" + TS + b"}{" + TS + b"}", None, ""),
}
"""By name: the line, the field that has to be named, and a part of the reason. Where it is empty any reason will do."""

BAD_STREAMS: Final = ("a/b", "%2e%2e%2fetc", "Boiler", "boiler.quarantine", "%F0%9F%94%A5", "-x", "x" * 64, "a%00b", "")


@pytest.fixture
def site(hub: Hub, sites: MakeSite) -> Site:
    return sites(hub)


def _explained(answer: dict[str, Any], line: int) -> dict[str, Any]:
    (found,) = [each for each in answer["refused"] if each["line"] == line]
    assert found["why"]
    return dict(found)


def test_bad_records_are_named_by_line_and_field_and_kept_in_quarantine_while_their_neighbours_pass(
    hub: Hub, site: Site
) -> None:
    for name, (bad, field, why) in BAD_RECORDS.items():
        before, after = site.supply.readings(2)
        body = b"\n".join((json.dumps(before).encode(), bad, json.dumps(after).encode()))
        answered = site.ask("POST", f"/v1/streams/{READINGS}", body)
        assert answered.status == 200, (name, answered)
        assert answered.json["appended"] == 2, name
        told = _explained(answered.json, 2)
        assert field is None or told["field"] == field, (name, told)
        assert why in told["why"], (name, told)
        site.acknowledged[READINGS].update(map(canonical, (before, after)))
        site.refused[READINGS] += 1
    assert_settled(hub, site)
    kept = [json.loads(text) for text in hub.stored(site.name, f"{READINGS}.quarantine")]
    assert len(kept) == len(BAD_RECORDS)
    assert all(record["line"] == 2 and record["why"] and record["raw"] and record["at"] for record in kept)
    assert "hello" in {record["raw"] for record in kept}


def test_a_body_of_nothing_but_garbage_is_refused_as_a_whole_and_kept(hub: Hub, site: Site) -> None:
    for bad, _, _ in BAD_RECORDS.values():
        answered = site.ask("POST", f"/v1/streams/{READINGS}", bad)
        assert answered.status == 422, answered
        assert _explained(answered.json, 1)
        site.refused[READINGS] += answered.json["refused_count"]  # an array may be of several
    site.must_post(1)
    assert_settled(hub, site)


def test_bodies_that_are_no_data_are_refused_and_leave_nothing(hub: Hub, site: Site) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, 9)
    zipped, empty = {"content-encoding": "gzip"}, json.dumps(site.supply.readings(1)[0]).encode()
    refusals: list[tuple[int, bytes, dict[str, str]]] = [
        (400, b"", {}),
        (400, b"\n\n  \n", {}),
        (400, b"[]", {"content-type": "application/json"}),
        (413, bomb, zipped),
        (400, b"no gzip", zipped),
        (400, gzip.compress(empty)[:-6], zipped),
        (415, empty, {"content-encoding": "br"}),
        (415, empty, {"content-type": "image/png"}),
        (403, empty, {"origin": "https://example.org"}),
        (413, b"[" * 1_300_000, {}),
    ]
    for status, body, headers in refusals:
        answered = site.ask("POST", f"/v1/streams/{READINGS}", body, headers)
        assert answered.status == status, (answered, headers, body[:40])
        assert answered.json["detail"], answered
    for name in BAD_STREAMS:
        answered = site.ask("POST", f"/v1/streams/{name}", empty)
        assert answered.status == 404, (name, answered)
    site.must_post(1)
    assert_settled(hub, site)


def test_bytes_that_are_no_http_hurt_nobody_at_the_agent_s_door(hub: Hub, site: Site, chance: random.Random) -> None:
    for garbage in (b"", b"\0" * 100, chance.randbytes(10_000), b"POST / HTTP/9.9\r\n\r\n", b"GET " + b"a" * 100_000):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(site.door))
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            _read_all(connection)
    site.must_post(1)
    assert_settled(hub, site)


def test_garbage_files_are_quarantined_line_by_line_or_left_as_they_are(hub: Hub, site: Site) -> None:
    site.drop_file(20)
    (site.drop / "bad-times.csv").write_text("timestamp,value\nyesterday,1\n,2\n")
    site.refused[TEMPERATURES] += 2
    (site.drop / "empty.csv").write_bytes(b"")
    (site.drop / "header.csv").write_text("timestamp,value\n")
    (site.drop / "not-looked-at.png").write_bytes(bytes(range(256)))
    site.log_lines(5)
    with site.log.open("ab") as log:
        log.write(b"\xff\xfe no UTF-8\n")
    site.log_lines(5)
    until("the lines are taken", lambda: site.status()["buffer"]["streams"] != [])
    site.drop_file(20)

    def is_counted() -> bool:
        lines = hub.completeness(site.name)
        return lines.get(TEMPERATURES, {}).get("quarantined") == 2 and REQUESTS in lines

    until("the bad lines are in quarantine", is_counted)
    # The log's one bad line is kept as text where it can be, else in quarantine; it is not lost either way.
    until("all lines are there", lambda: _kept(hub, site, REQUESTS) == 11)
    stored = hub.stored(site.name, REQUESTS)
    odd = stored - site.acknowledged[REQUESTS]
    site.maybe[REQUESTS] += odd
    site.refused[REQUESTS] = 1 - odd.total()
    assert_settled(hub, site)


def _kept(hub: Hub, site: Site, stream: str) -> int:
    line = hub.completeness(site.name)[stream]
    return int(line["stored"] + line["quarantined"])


def test_garbage_at_the_hub_s_port_hurts_nobody(
    hub: Hub, site: Site, proxied: Callable[[Hub], Proxy], chance: random.Random
) -> None:
    for garbage in (b"", b"\0" * 100, chance.randbytes(10_000), b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", hub.port)) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            _read_all(connection)
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    for garbage in (chance.randbytes(5000), b"POST /v1/parcels HTTP/1.1\r\ncontent-length: -1\r\n\r\n", b"G" * 200_000):
        with (
            socket.create_connection(("127.0.0.1", hub.port)) as plain,
            unverified.wrap_socket(plain) as connection,
        ):
            connection.sendall(garbage)
            _read_all(connection)
    site.must_post(10)
    assert_settled(hub, site)


def test_garbage_parcels_of_a_real_site_are_problems_and_change_nothing(
    hub: Hub, site: Site, chance: random.Random
) -> None:
    site.must_post(10)
    client = Client(site.state, hub.port)
    records = site.supply.readings(5)
    genuine = client.parcel(READINGS, 5, client.batch(READINGS, 1, records))
    garbage = {
        "nothing": b"",
        "random": chance.randbytes(5000),
        "magic": b"FSP\x01" + chance.randbytes(5000),
        "newer": b"FSP\x02" + genuine[4:],
        "cut short": genuine[: len(genuine) // 2],
        "too large": genuine + bytes(17_000_000),
    }
    for name, body in garbage.items():
        status, said = client.post(body)
        assert 400 <= status < 500, (name, status, said)
        assert json.loads(said)["title"], name
    assert client.post(genuine, "text/plain")[0] == 415
    for at in chance.sample(range(len(genuine)), 20):
        # Where the byte belongs to the batch, the signed statement beside it still holds: the batch alone is refused.
        client.post(genuine[:at] + bytes((genuine[at] ^ 0x55,)) + genuine[at + 1 :])
    assert client.post(genuine)[0] == 200
    site.acknowledged[READINGS].update(map(canonical, records))
    assert_settled(hub, site)


def _read_all(connection: socket.socket) -> bytes:
    connection.settimeout(60)
    read = b""
    try:
        while chunk := connection.recv(65_536):
            read += chunk
    except OSError:
        pass
    return read
