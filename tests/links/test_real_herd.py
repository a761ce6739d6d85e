"""Many sites at the door of a real hub at once, over TLS: it puts them off to slots, and takes the urgent at once."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from farshore_agent.identity.enrol import enrol, parse_token
from farshore_protocol.parcel import PARCEL_TYPE
from farshore_protocol.urgency import DEFAULT_PRIORITY, FIRST_PRIORITY, Urgency
from farshore_shell.system import real_world
from tests.acceptance.client import Client
from tests.acceptance.commands import until
from tests.acceptance.hub import Hub

HOLDERS: Final = 36
"""Parcels that are half on their way when the herd comes; more than the hub lets in of the less urgent."""

URGENT: Final = 6
BULK: Final = 24
BULK_BYTES: Final = 400_000
SMALL_BYTES: Final = 2_000
OK: Final = 200
BUSY: Final = 503


@pytest.fixture
def narrow_hub(folder: Path) -> Iterator[Hub]:
    """A hub that takes on a few parcels of these at one time."""
    made = Hub(folder)
    settings = made.data / "hub.toml"
    settings.write_text(settings.read_text() + "\n[web]\nmax_bodies_bytes = 16777216\n")
    try:
        made.start()
        yield made
    finally:
        made.kill()


def joined(hub: Hub, folder: Path, name: str) -> Client:
    identity = asyncio.run(enrol(parse_token(hub.add_site(name)), real_world()))
    identity.save(folder / name / "identity")
    return Client(folder / name, hub.port)


def parcel_of(client: Client, size: int) -> bytes:
    return client.parcel("load", 1, client.batch("load", 1, [{"noise": os.urandom(size // 2).hex()}]))


def begin(client: Client, parcel: bytes) -> http.client.HTTPSConnection:
    """Send a parcel's head and half of it."""
    connection = client.connect()
    connection.putrequest("POST", "/v1/parcels")
    connection.putheader("content-type", PARCEL_TYPE)
    connection.putheader("content-length", str(len(parcel)))
    connection.endheaders(parcel[: len(parcel) // 2])
    return connection


def end(connection: http.client.HTTPSConnection, parcel: bytes) -> None:
    """Send the rest; one that was put off has had its answer."""
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.send(parcel[len(parcel) // 2 :])
        connection.getresponse().read()


def ask(client: Client, parcel: bytes, priority: int) -> int:
    """Send a parcel; 0 if it was taken, else in how many seconds to come again."""
    headers = {"content-type": PARCEL_TYPE, **Urgency(priority).headers()}
    with contextlib.closing(client.connect()) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            connection.request("POST", "/v1/parcels", parcel, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {OK, BUSY}
        return 0 if answer.status == OK else int(answer.headers["retry-after"])


def come(client: Client, parcel: bytes, priority: int) -> list[int]:
    """Send one parcel, and come again as the hub says until it is taken; how long it had to wait each time."""
    waits_s: list[int] = []
    while wait_s := ask(client, parcel, priority):
        waits_s.append(wait_s)
        time.sleep(wait_s)
    return waits_s


def test_a_herd_is_put_off_to_slots_and_the_urgent_are_taken_at_once(narrow_hub: Hub, folder: Path) -> None:
    early = joined(narrow_hub, folder, "early")
    herd = [joined(narrow_hub, folder, f"herd-{each}") for each in range(URGENT + BULK)]
    started = parcel_of(early, BULK_BYTES)
    held = [begin(early, started) for _ in range(HOLDERS)]
    until("the hub is full", lambda: ask(herd[-1], parcel_of(herd[-1], BULK_BYTES), DEFAULT_PRIORITY) > 0)
    with ThreadPoolExecutor(URGENT + BULK) as threads:
        sizes = [SMALL_BYTES if number < URGENT else BULK_BYTES for number in range(URGENT + BULK)]
        loads = [parcel_of(client, size) for client, size in zip(herd, sizes, strict=True)]
        coming = [
            threads.submit(come, client, load, FIRST_PRIORITY if number < URGENT else DEFAULT_PRIORITY)
            for number, (client, load) in enumerate(zip(herd, loads, strict=True))
        ]
        urgent = [each.result() for each in coming[:URGENT]]
        for connection in held:
            end(connection, started)
        bulk = [each.result() for each in coming[URGENT:]]
    assert not any(urgent)
    assert sum(bool(waits_s) for waits_s in bulk) > BULK // 2
    for client in herd[: URGENT + 5]:
        assert narrow_hub.completeness(client.identity.site)["load"]["stored"] == 1
    tries = sum(1 + len(waits_s) for waits_s in bulk)
    print(f"{BULK} sites were put off {tries - BULK} times")  # noqa: T201 - measured, not asserted
