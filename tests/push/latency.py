"""How long orders take: to a simulated site, to be applied by a real agent, and what a bare broker takes."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import time
from http import HTTPStatus
from pathlib import Path

from farshore_hub.broker.certificates import broker_chain
from farshore_hub.broker.server import program
from farshore_hub.opening import OpenedHub
from farshore_hub.orders.making import Maker, NewSettings
from farshore_hub.store import site_reports
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import find_site
from farshore_protocol.orders import Outcome
from farshore_protocol.topics import BROKER_NAME
from farshore_shell.mqtt.client import Endpoint, connected
from farshore_shell.mqtt.packets import Hello, Message
from farshore_shell.system import SystemClock
from tests.acceptance.commands import until
from tests.acceptance.hub import Hub, free_port
from tests.acceptance.ordering import SELDOM
from tests.acceptance.site import Site
from tests.push.simulated import Sites, name_of

_LIFE_US = 3_600_000_000
_LOOK_S = 0.005


def ordered(hub: OpenedHub, ids: list[int]) -> int:
    """Give each of these sites a command; when they were durable."""
    now_us = hub.fleet.clock.now_us()
    maker = Maker(hub.keys, now_us, "a benchmark")
    with writing(hub.engine) as connection:
        for site in ids:
            maker.command(connection, site, "juggle", {}, now_us + _LIFE_US)
        assert maker.commands(connection, ids) == len(ids)
    return time.time_ns() // 1000


def open_orders(hub: OpenedHub) -> int:
    with reading(hub.engine) as connection:
        return int(connection.exec_driver_sql("select count(*) from orders where state = 'open'").scalar_one())


def to_a_site(hub: OpenedHub, sites: Sites, number: int, ids: list[int]) -> float:
    """From durable, made by another process than the hub's, to received by a simulated site; in milliseconds."""
    name = name_of(number)
    durable_us, had = ordered(hub, [ids[number]]), len(sites.came.get(name, []))
    until("it is there", lambda: len(sites.came.get(name, [])) > had)
    until("it is answered", lambda: open_orders(hub) == 0)
    return (sites.came[name][had] - durable_us) / 1000


def to_a_site_by_the_api(hub: Hub, sites: Sites, number: int) -> float:
    """From asked for over the hub's API to received by a simulated site; in milliseconds."""
    name = name_of(number)
    asked_us, had = time.time_ns() // 1000, len(sites.came.get(name, []))
    wanted = {"sites": [name], "command": "flush", "arguments": {}, "expires": "10 min"}
    status, body = hub.request(
        "POST", "/v1/commands", json.dumps(wanted).encode(), **{"content-type": "application/json"}
    )
    assert status == HTTPStatus.CREATED, body
    until("it is there", lambda: len(sites.came.get(name, [])) > had)
    return (sites.came[name][had] - asked_us) / 1000


class RealAgent:
    """An agent as it ships, connected to the broker, to which settings are given one after the other."""

    def __init__(self, hub: Hub, opened: OpenedHub, folder: Path) -> None:
        self._hub, self._opened = hub, opened
        self._site = Site("real", folder / "real", hub.port, way=SELDOM)
        self._site.join(hub)
        self._site.start()
        until("the agent is connected", lambda: self._site.status()["orders"]["push"]["state"] == "up")
        with reading(opened.engine) as connection:
            found = find_site(connection, self._site.name)
        assert found is not None
        self._id = found.id
        until("the hub knows it", lambda: self._report() is not None)

    def stop(self) -> None:
        """It has no part in what follows."""
        self._site.kill()
        self._hub.do("site", "revoke", self._site.name)

    def applies(self, number: int) -> float:
        """From durable, made by another process than the hub's, to in force and kept at the agent; in milliseconds."""
        hub = self._opened
        text = f'[seal]\nlinger = "{100 + number % 100} ms"\n'
        new = NewSettings(self._id, self._site.name, text, os.urandom(16), 1, probe_s=0)
        before = self._report()
        was = (before.running or 0) if before else 0
        with writing(hub.engine) as connection:
            assert Maker(hub.keys, hub.fleet.clock.now_us(), "a benchmark").settings(connection, [new]) == 1
        durable_us = time.time_ns() // 1000
        give_up_s = time.monotonic() + 60
        while True:
            report = self._report()
            if report is not None and (report.running or 0) > was and report.outcome == Outcome.KEPT:
                return (report.at_us - durable_us) / 1000
            assert time.monotonic() < give_up_s, f"not applied: {report}"
            time.sleep(_LOOK_S)

    def _report(self) -> site_reports.ReportRow | None:
        with reading(self._opened.engine) as connection:
            return site_reports.find(connection, [self._id]).get(self._id)


def bare_broker(hub: OpenedHub, folder: Path, times: int) -> list[float]:
    """From publish to receive at a nats-server that asks nobody, in milliseconds; TLS and our own client, as above."""
    port, chain = free_port(), folder / "bare.pem"
    chain.write_bytes(broker_chain(hub.fleet))
    tls = {"cert_file": str(chain), "key_file": str(chain)}
    mqtt = {"host": "127.0.0.1", "port": port, "tls": tls}
    config = {"listen": "127.0.0.1:-1", "server_name": "bare", "jetstream": {"store_dir": str(folder / "bare")}}
    (folder / "bare.conf").write_text(json.dumps(config | {"mqtt": mqtt}))
    process = subprocess.Popen([program(), "-c", folder / "bare.conf"], stderr=subprocess.DEVNULL)
    context = ssl.create_default_context(cadata=hub.keys.ca.pem.decode())
    at = Endpoint("127.0.0.1", port, context, BROKER_NAME, 1 << 20, 1000)

    async def measure() -> list[float]:
        clock, took = SystemClock(), []
        heard: asyncio.Queue[Message] = asyncio.Queue()
        async with connected(at, Hello("reader", 600), heard.put_nowait, clock) as reader:
            await reader.subscribe("order")
            async with connected(at, Hello("writer", 600), lambda _: None, clock) as writer:
                for _ in range(times):
                    began = time.perf_counter()
                    saying = asyncio.create_task(writer.publish(Message("order", os.urandom(1500))))
                    await heard.get()
                    took.append((time.perf_counter() - began) * 1000)
                    await saying
        return took

    try:
        time.sleep(1)
        return asyncio.run(measure())
    finally:
        process.kill()
        process.wait()
