"""Bombs at the ports of the installed commands: bounded memory, others answered meanwhile, and all works afterwards."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from farshore_protocol import limits
from farshore_protocol.batch import BatchHeader, Kind
from tests.acceptance.client import Client
from tests.acceptance.commands import until
from tests.acceptance.hub import Hub
from tests.acceptance.site import READINGS, Site
from tests.fuzz.bombs import BODIES, GZIP, JSON_ARRAYS, JSON_LINES, MIB, REQUESTS, ZSTD, Make

AGENT_MIB: Final = 256
"""What a small machine has for it; the door keeps 64 MiB of bodies at most."""

HUB_MIB: Final = 512
"""Its libraries take 200 MiB, bodies under way 256 at most, of which nobody has more than an eighth."""

HALVES: Final = 60
ALL: Final = "FARSHORE_ALL_BOMBS" in os.environ
_TIMEOUT_S: Final = 30
"""Who sends requests without pause and reads no answer is not read any more."""


@dataclass
class World:
    hub: Hub
    site: Site
    client: Client


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A hub, a site, and whoever has taken over another site."""
    folder = Path(tempfile.mkdtemp(prefix="fs-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        hub = Hub(folder)
        stack.callback(hub.kill)
        hub.start()
        site, other = Site("ship-1", folder / "ship-1", hub.port), Site("ship-2", folder / "ship-2", hub.port)
        stack.callback(site.kill)
        site.join(hub)
        other.join(hub)
        site.start()
        yield World(hub, site, Client(other.state, hub.port))


def peak_mib(pid: int) -> int:
    """The largest resident set that a process ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


def request_of(body: bytes, encoding: str = "identity", kind: str = "application/x-ndjson") -> bytes:
    head = (
        f"POST /v1/streams/{READINGS} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\ncontent-encoding: {encoding}\r\n"
    )
    return head.encode() + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body


def raw(of: bytes) -> bytes:
    return of.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nhost: a\r\n", 1)


FEW_AT_THE_DOOR: Final[dict[str, Make]] = {
    "gzip": lambda: request_of(GZIP["zeros"](), "gzip"),
    "zstd": lambda: request_of(ZSTD["zeros"](), "zstd"),
    "deep": lambda: request_of(JSON_LINES["deep"]()[: 4 * MIB]),
    "numbers": lambda: request_of(JSON_ARRAYS["numbers"](), kind="application/json"),
    "wide": lambda: request_of(JSON_LINES["wide records"]()[: 4 * MIB]),
    "no text": lambda: request_of(JSON_LINES["bytes that are no text"]()),
    "trailer": lambda: raw(REQUESTS["a trailer without end"]()),
}


def _every_bomb_at_the_door() -> Iterator[tuple[str, Make]]:
    for name, make in JSON_LINES.items():
        yield f"lines: {name}", lambda make=make: request_of(make())  # type: ignore[misc]
    for name, make in JSON_ARRAYS.items():
        yield f"array: {name}", lambda make=make: request_of(make(), kind="application/json")  # type: ignore[misc]
    for name, make in REQUESTS.items():
        yield f"request: {name}", lambda make=make: raw(make())  # type: ignore[misc]


AT_THE_DOOR: Final = FEW_AT_THE_DOOR | (dict(_every_bomb_at_the_door()) if ALL else {})


def throw(connection: socket.socket, bomb: bytes) -> bytes:
    """Send it, as far as it is taken, and read what is answered."""
    said = b""
    with contextlib.suppress(OSError):
        connection.sendall(bomb)
        connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError):
        while piece := connection.recv(65_536):
            said += piece
    return said


def at_the_door(world: World) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_TIMEOUT_S)
    connection.connect(str(world.site.door))
    return connection


def at_the_hub(world: World) -> ssl.SSLSocket:
    made = world.client.connect()
    made.connect()
    assert isinstance(made.sock, ssl.SSLSocket)
    return made.sock


def both_work(world: World) -> bool:
    """A record comes in at the one end and out at the other."""
    before = world.hub.stored(world.site.name, READINGS).total()
    assert world.site.post(world.site.supply.readings(1)).status == 200
    until("the record is stored", lambda: world.hub.stored(world.site.name, READINGS).total() == before + 1)
    return True


@pytest.mark.parametrize("bomb", AT_THE_DOOR)
def test_a_bomb_at_the_agents_door(world: World, bomb: str) -> None:
    with at_the_door(world) as connection:
        said = throw(connection, AT_THE_DOOR[bomb]())
    assert not said.startswith(b"HTTP/1.1 5"), said[:200]
    assert world.site.ask("GET", "/healthz").status == 200
    assert peak_mib(world.site.daemon.pid) < AGENT_MIB


def bombs_of_the_hub(client: Client) -> dict[str, Callable[[], tuple[int, bytes]]]:
    def inflating(name: str) -> tuple[int, bytes]:
        header = BatchHeader(
            Kind.RECORDS, client.incarnation, client._epoch_name, client._counter, "bomb", 1, limits.MAX_BATCH_RECORDS
        )
        client._counter += 1
        sealed = client._key.seal(header, BODIES[name]()).raw
        return client.post(client.parcel("bomb", limits.MAX_BATCH_RECORDS, sealed))

    return {
        "batches": lambda: inflating("nothing but zeros, zstd"),
        "progressions": lambda: inflating("progressions"),
        "nested": lambda: client.post(b"FSP\x01" + b"\x91" * MIB),
        "zeros": lambda: client.post(bytes(limits.MAX_PARCEL_BYTES)),
        "deep JSON": lambda: client.post(b'{"sql":' + b"[" * 60_000, "application/json", "/v1/query"),
    }


@pytest.mark.parametrize("bomb", ["batches", "progressions", "nested", "zeros", "deep JSON"])
def test_a_bomb_at_the_hub(world: World, bomb: str) -> None:
    status = 0
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, _ = bombs_of_the_hub(world.client)[bomb]()
    assert status < 500
    assert world.hub.request("GET", "/readyz")[0] == 200
    assert peak_mib(world.hub.daemon.pid) < HUB_MIB


@pytest.mark.parametrize("bomb", ["a trailer without end", "trailers", "chunks of long extensions"])
def test_a_request_without_end_at_the_hub(world: World, bomb: str) -> None:
    with at_the_hub(world) as connection:
        assert b" 200 " not in throw(connection, raw(REQUESTS[bomb]()))[:20]
    assert world.hub.request("GET", "/readyz")[0] == 200
    assert peak_mib(world.hub.daemon.pid) < HUB_MIB


def test_many_bodies_half_sent_hold_up_nobody(world: World) -> None:
    parcels = b"POST /v1/parcels HTTP/1.1\r\nhost: a\r\ncontent-type: application/vnd.farshore.parcel\r\n"
    with ExitStack() as stack:
        for _ in range(HALVES):
            door = stack.enter_context(at_the_door(world))
            with contextlib.suppress(OSError):
                door.sendall(request_of(bytes(MIB))[: MIB // 2])
            hub = stack.enter_context(at_the_hub(world))
            with contextlib.suppress(OSError):
                hub.sendall(parcels + b"content-length: %d\r\n\r\n" % MIB + bytes(MIB // 2))
        assert both_work(world)
    assert peak_mib(world.site.daemon.pid) < AGENT_MIB
    assert peak_mib(world.hub.daemon.pid) < HUB_MIB


def test_after_all_of_it_both_work(world: World) -> None:
    assert both_work(world)
    world.site.stop()
    world.hub.stop()


def test_a_process_that_takes_more_would_be_noticed() -> None:
    taking = f"taken = b'x' * {AGENT_MIB * MIB}; print(flush=True); input()"
    command = [sys.executable, "-c", taking]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        peak = peak_mib(process.pid)
        process.communicate(b"\n")
    assert peak >= AGENT_MIB
