"""A hub takes parcels as soon as its port is open, before what stands behind it is loaded."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farshore_hub import app
from farshore_hub.behind import Behind
from farshore_hub.initialise import Stores, initialise
from farshore_hub.opening import open_hub
from farshore_hub.web.server import bind
from farshore_protocol.parcel import PARCEL_TYPE
from farshore_shell.system import SystemClock, SystemRandom
from tests.hub.web.parcels import Sender
from tests.hub.web.running import running_hub

NOT_FOR_PARCELS = ["alembic", "deltalake", "duckdb", "fastapi", "jinja2", "prometheus_client", "pyarrow"]


def test_no_part_of_an_answer_waits_until_the_one_before_is_acknowledged() -> None:
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_nothing_is_loaded_before_the_port_is_open_that_parcels_do_not_need() -> None:
    program = f"import farshore_hub.cli.serve, sys; print([each for each in {NOT_FOR_PARCELS} if each in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_parcels_are_taken_while_the_rest_is_loaded_and_who_asks_for_the_rest_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(app, "load_behind", _after(go_on, app.load_behind))
    with running_hub(tmp_path) as hub, ThreadPoolExecutor(1) as asking:
        health = asking.submit(hub.ask, "GET", "/healthz")
        member = hub.join("early")
        parcel = Sender(member.keys, member.membership).parcel([{"a": 1}])
        reply = hub.ask("POST", "/v1/parcels", parcel, kind=PARCEL_TYPE, context=member.context)
        assert (reply.status, health.done()) == (200, False)
        go_on.set()
        assert health.result(60).status == 200


async def test_a_hub_that_cannot_load_the_rest_ends_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Behind:
        raise ImportError("half an upgrade")

    monkeypatch.setattr(app, "load_behind", broken)
    initialise(tmp_path / "hub", ["https://127.0.0.1:8443"], None, Stores(), SystemClock(), SystemRandom())
    with open_hub(tmp_path / "hub") as hub, pytest.raises(ImportError, match="half an upgrade"):
        await app.run_hub(hub, "127.0.0.1:0", tls=True, announce=lambda _: None, stop=asyncio.Event())


def _after(event: threading.Event, load: Callable[..., Behind]) -> Callable[..., Behind]:
    def waiting(*arguments: object) -> Behind:
        assert event.wait(60)
        return load(*arguments)

    return waiting
