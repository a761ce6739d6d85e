"""Clients that are slow on purpose, or hoard what everybody needs: others are served all the while."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NoReturn

import pytest
from fastapi import Request

from farshore_hub import app
from farshore_hub.errors import Busy
from farshore_hub.settings.rooms import Web
from farshore_hub.web import gate, tls
from farshore_hub.web.bodies import SHARES, STRANGERS, BodyReader
from farshore_protocol.limits import MAX_ENROLMENT_BYTES, MAX_PARCEL_BYTES, MIB
from farshore_protocol.parcel import PARCEL_TYPE
from tests.hub.web.parcels import Sender
from tests.hub.web.running import Member, RunningHub, running_hub

DEADLINE_S: Final = 60.0
OF_AN_ADDRESS: Final = 40
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
SHORT_S: Final = 0.3


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[RunningHub]:
    """A hub with TLS whose bounds are easy to reach."""
    bounds = f'[web]\nmax_connections_per_address = {OF_AN_ADDRESS}\nbody_timeout = "1 s"\n'
    with running_hub(tmp_path, extra_settings=bounds) as running:
        yield running


@pytest.fixture
def hoard() -> Iterator[ExitStack]:
    """Everything that a test opens and leaves open until its end."""
    with ExitStack() as stack:
        yield stack


def connected(hub: RunningHub, hoard: ExitStack, host: str = HERE) -> socket.socket:
    """A connection that has sent nothing yet."""
    return hoard.enter_context(socket.create_connection((HERE, hub.port), DEADLINE_S, source_address=(host, 0)))


def secured(hub: RunningHub, hoard: ExitStack, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    """A connection after its handshake."""
    raw = connected(hub, hoard)
    return hoard.enter_context((context or hub.context()).wrap_socket(raw, server_hostname="farshore-hub"))


def is_served(hub: RunningHub, host: str = ELSEWHERE) -> bool:
    with ExitStack() as stack:
        with contextlib.suppress(OSError):
            raw = connected(hub, stack, host)
            client = stack.enter_context(hub.context().wrap_socket(raw, server_hostname="farshore-hub"))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 200 ")
        return False


def is_closed(connection: socket.socket) -> bool:
    """Whether the hub has ended it."""
    ready = select.poll()
    ready.register(connection, select.POLLRDHUP | select.POLLHUP)
    return bool(ready.poll(0))


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def parcel_request(length: int) -> bytes:
    head = f"POST /v1/parcels HTTP/1.1\r\nHost: a\r\nContent-Type: {PARCEL_TYPE}\r\nContent-Length: {length}"
    return f"{head}\r\n\r\n".encode()


def delivers(hub: RunningHub, site: Member) -> bool:
    parcel = Sender(site.keys, site.membership).parcel([{"ts": 1_795_000_000, "n": 1}])
    return hub.ask("POST", "/v1/parcels", parcel, kind=PARCEL_TYPE, context=site.context).status == 200


def test_one_address_cannot_take_all_connections_even_before_tls(slow: RunningHub, hoard: ExitStack) -> None:
    hoarded = [connected(slow, hoard) for _ in range(OF_AN_ADDRESS + 20)]
    until(lambda: sum(map(is_closed, hoarded)) == 20)
    assert not is_served(slow, HERE)
    assert is_served(slow, ELSEWHERE)
    hoarded.pop(0).close()
    until(lambda: is_served(slow, HERE))


def test_a_handshake_that_stalls_is_ended(slow: RunningHub, hoard: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HANDSHAKE_S", SHORT_S)
    silent, halfway = connected(slow, hoard), connected(slow, hoard)
    halfway.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    assert is_served(slow)
    until(lambda: is_closed(silent) and is_closed(halfway))


def test_a_failed_handshake_gives_its_place_back(slow: RunningHub, hoard: ExitStack) -> None:
    for _ in range(OF_AN_ADDRESS + 5):
        garbage = connected(slow, hoard)
        garbage.sendall(b"this is no handshake\r\n\r\n")
        until(lambda garbage=garbage: is_closed(garbage))  # type: ignore[misc]
    assert is_served(slow, HERE)


def test_a_head_that_comes_byte_by_byte_is_ended(
    slow: RunningHub, hoard: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HEAD_TIMEOUT_S", SHORT_S)
    slow_ones = [secured(slow, hoard) for _ in range(10)]

    def all_ended() -> bool:
        for each in slow_ones:
            with contextlib.suppress(OSError):
                each.send(b"G")
        return all(map(is_closed, slow_ones))

    until(all_ended)
    assert is_served(slow)


def test_a_body_that_comes_byte_by_byte_is_ended_and_told(slow: RunningHub, hoard: ExitStack) -> None:
    site = slow.join("slow-body")
    slow_one = secured(slow, hoard, site.context)
    slow_one.sendall(parcel_request(1000))
    slow_one.settimeout(0.05)
    said = b""

    def answered() -> bool:
        nonlocal said
        with contextlib.suppress(OSError):
            slow_one.send(b"F")
            said += slow_one.recv(1000)
        return said.startswith(b"HTTP/1.1 408 ")

    until(answered)
    assert is_served(slow)


def test_an_answer_that_nobody_reads_is_given_up(
    slow: RunningHub, hoard: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "UNREAD_S", SHORT_S)
    deaf = secured(slow, hoard)
    deaf.settimeout(0.2)
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 50

    def ended() -> bool:
        with contextlib.suppress(TimeoutError, ssl.SSLWantWriteError):
            deaf.send(asked)
        return False

    with pytest.raises(OSError, match=r"reset|Broken pipe|EOF"):
        until(ended)
    assert is_served(slow)


def test_an_answer_that_is_read_slowly_comes_whole(
    slow: RunningHub, hoard: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "UNREAD_S", DEADLINE_S)
    whole = slow.ask("GET", "/openapi.json").body
    slow_one = secured(slow, hoard)
    slow_one.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    read = b""
    while piece := slow_one.recv(997):
        read += piece
    assert read.endswith(whole)


@pytest.mark.parametrize("length", [MAX_PARCEL_BYTES, None], ids=["announced", "of-unknown-length"])
def test_one_site_that_begins_parcels_and_sends_none_leaves_room_for_another(
    hub: RunningHub, hoard: ExitStack, length: int | None
) -> None:
    greedy, modest = hub.join(f"greedy-{length or 0}"), hub.join(f"modest-{length or 0}")
    head = parcel_request(length or 0)
    if length is None:
        head = head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    for _ in range(24):
        secured(hub, hoard, greedy.context).sendall(head)
    until(lambda: not delivers(hub, greedy))
    assert delivers(hub, modest)


async def test_strangers_that_begin_to_enrol_leave_room_for_the_sites() -> None:
    reader = BodyReader(256 * MIB, DEADLINE_S)
    pending, busy = set(), 0
    for _ in range(256 * MIB // SHARES // MAX_ENROLMENT_BYTES + 1):
        reading = asyncio.create_task(read(reader, "application/vnd.msgpack", MAX_ENROLMENT_BYTES, STRANGERS))
        await asyncio.sleep(0)
        if reading.done():
            assert isinstance(reading.exception(), Busy)
            busy += 1
        else:
            pending.add(reading)
    assert busy == 1
    parcel = asyncio.create_task(read(reader, PARCEL_TYPE, MAX_PARCEL_BYTES, "site"))
    await asyncio.sleep(0)
    assert not parcel.done()
    for each in (parcel, *pending):
        each.cancel()
    await asyncio.wait((parcel, *pending))
    # What was given up is free again.
    assert (reader._free_bytes, reader._held_bytes.total()) == (256 * MIB, 0)


async def read(reader: BodyReader, kind: str, most: int, whose: str) -> None:
    """Begin to read a body that never comes."""

    async def receive() -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    headers = [(b"content-type", kind.encode()), (b"content-length", str(most).encode())]
    async with reader.read(Request({"type": "http", "headers": headers}, receive), kind, most, whose):
        raise AssertionError("there is no body")


def test_no_more_connections_are_taken_than_there_are_files_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, in_all, of_an_address in ((100_000, 20_000, 10_000), (1024, 512, 256), (300, 150, 75)):
        monkeypatch.setattr(app, "open_files", lambda files=files: files)
        assert app._bounds(Web(), tls=True) == gate.Bounds(in_all, of_an_address)
        assert app._bounds(Web(), tls=False) == gate.Bounds(in_all, in_all)
