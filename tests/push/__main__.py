"""Measures orders over MQTT with many connected sites: `python -m tests.push --sites 1000`.

A real hub with its own broker; sites that are the agent's own way to the broker and nothing else, in processes of their
own. Says what broker and hub take in memory and CPU; how long an order takes to one site, beside what a bare broker
takes from publish to receive; how long until nearly all sites have answered an order each; and how fast they come back
when the broker is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_hub.broker.certificates import broker_chain
from farshore_hub.broker.server import program
from farshore_hub.fleet.ca import SERIAL_BYTES, Validity, pem_of, private_pem, serial_number
from farshore_hub.fleet.enrol import certificate_id
from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.orders.making import Maker
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import reading, writing
from farshore_protocol import wire
from farshore_protocol.enrolment import Membership
from farshore_protocol.topics import BROKER_NAME
from farshore_shell.mqtt.client import Endpoint, connected
from farshore_shell.mqtt.packets import Hello, Message
from farshore_shell.system import SystemClock
from tests.acceptance.commands import until
from tests.acceptance.hub import Hub, free_port
from tests.acceptance.ordering import with_broker
from tests.acceptance.test_push import broker_of, figure

LONG_S = 600.0


class Sites:
    """All simulated sites."""

    def __init__(self, folder: Path, place: str, count: int, processes: int) -> None:
        self.said: list[dict[str, Any]] = [{"up": 0, "made": 0}] * processes
        self.came: dict[str, list[int]] = {}
        self.history: list[tuple[float, int]] = []
        share = -(-count // processes)
        command = [sys.executable, "-m", "tests.push.sites", str(folder), place]
        self._children = [
            subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command, str(n * share), str(min(count, (n + 1) * share))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for n in range(processes)
        ]
        for number, child in enumerate(self._children):
            threading.Thread(target=self._read, args=(number, child), daemon=True).start()

    @property
    def up(self) -> int:
        return sum(each["up"] for each in self.said)

    @property
    def made(self) -> int:
        return sum(each["made"] for each in self.said)

    def stop(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()

    def _read(self, number: int, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            said = json.loads(line)
            for site, at_us in said.pop("came"):
                self.came.setdefault(site, []).append(at_us)
            self.said[number] = said
            self.history.append((said["at_us"] / 1e6, self.made))


def enrolled(hub: OpenedHub, folder: Path, count: int) -> list[int]:
    """Make that many sites with one key and a certificate each, past the API; their ids."""
    tls, signing = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    now_us, ca, keys = hub.fleet.clock.now_us(), hub.keys.ca, hub.keys
    valid, certificates, ids = Validity.beginning(now_us, timedelta(days=30)), {}, []
    with writing(hub.engine) as connection:
        for number in range(count):
            name, serial = f"site-{number:05}", os.urandom(SERIAL_BYTES)
            site = store.insert_site(connection, name, now_us)
            store.activate_site(connection, site, signing.public_key().public_bytes_raw(), now_us)
            store.insert_certificate(connection, certificate_id(serial_number(serial)), site, now_us, valid.end_us)
            certificates[name] = pem_of(ca.issue_site(name, tls.public_key(), valid, serial)).decode()
            ids.append(site)
    member = Membership(
        "any", keys.hub, now_us, "", ca.pem.decode(), keys.public_signing_keys, keys.public_sealing_keys, []
    )
    (folder / "membership").write_bytes(wire.pack(member))
    (folder / "key.pem").write_bytes(private_pem(tls))
    (folder / "certificates").write_text(json.dumps(certificates))
    return ids


def ordered(hub: OpenedHub, ids: list[int]) -> int:
    """Give each of these sites a command; when they were durable."""
    now_us = hub.fleet.clock.now_us()
    maker = Maker(hub.keys, now_us, "a benchmark")
    with writing(hub.engine) as connection:
        for site in ids:
            maker.command(connection, site, "juggle", {}, now_us + 3_600_000_000)
        assert maker.commands(connection, ids) == len(ids)
    return time.time_ns() // 1000


def open_orders(hub: OpenedHub) -> int:
    with reading(hub.engine) as connection:
        return int(connection.exec_driver_sql("select count(*) from orders where state = 'open'").scalar_one())


def memory_mib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentiles(values: list[float]) -> str:
    cuts = statistics.quantiles(values, n=100)
    return f"p50 {statistics.median(values):.1f} ms, p99 {cuts[98]:.1f} ms ({len(values)} times)"


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


def measure(count: int, processes: int, times: int, folder: Path) -> None:
    hub = Hub(folder)
    port = with_broker(hub)
    with open_hub(hub.data) as opened:
        ids = enrolled(opened, folder, count)
        hub.start()
        until("the broker is there", lambda: figure(hub, "mqtt_up") == 1)
        broker = broker_of(hub)
        print(f"alone: broker {memory_mib(broker)} MiB, hub {memory_mib(hub.daemon.pid)} MiB", flush=True)
        before_s = cpu_s(broker), cpu_s(hub.daemon.pid)
        sites = Sites(folder, f"127.0.0.1:{port}", count, processes)
        try:
            until("all are connected", lambda: sites.up == count, deadline_s=LONG_S)
            until("all have reported", lambda: figure(hub, "mqtt_reports") >= count, deadline_s=LONG_S)
            used = cpu_s(broker) - before_s[0], cpu_s(hub.daemon.pid) - before_s[1]
            print(f"{count} sites connected: broker {memory_mib(broker)} MiB, hub {memory_mib(hub.daemon.pid)} MiB")
            print(f"  to connect and take a report of each: broker {used[0]:.1f} s, hub {used[1]:.1f} s of CPU")

            took = [one_order(opened, sites, n % count, ids) for n in range(times)]
            print(f"an order, from durable to received: {percentiles(took)}")
            print(f"a bare broker, from publish to receive: {percentiles(bare_broker(opened, folder, 5 * times))}")

            before_s = cpu_s(broker), cpu_s(hub.daemon.pid)
            began_s = time.time()
            ordered(opened, ids)
            sealed_s = time.time() - began_s
            until("99 % have answered", lambda: open_orders(opened) <= count // 100, deadline_s=LONG_S)
            took_s, used = time.time() - began_s, (cpu_s(broker) - before_s[0], cpu_s(hub.daemon.pid) - before_s[1])
            print(f"an order to each: sealed after {sealed_s:.1f} s, 99 % answered after {took_s:.1f} s")
            print(f"  for that: broker {used[0]:.1f} s, hub {used[1]:.1f} s of CPU", flush=True)

            until("all have answered", lambda: open_orders(opened) == 0, deadline_s=LONG_S)
            had, killed_s = sites.made, time.time()
            os.kill(broker, signal.SIGKILL)
            ordered(opened, ids)
            until("all are back", lambda: sites.made >= had + count, deadline_s=LONG_S)
            back_s = time.time() - killed_s
            until("all have answered", lambda: open_orders(opened) == 0, deadline_s=LONG_S)
            most = peak(sites.history, killed_s)
            print(f"broker killed: all back after {back_s:.1f} s, at most {most:.0f} in a second")
            print(f"  an order to each, made then: all answered after {time.time() - killed_s:.1f} s")
            again = broker_of(hub)
            print(f"  broker {memory_mib(again)} MiB, hub {memory_mib(hub.daemon.pid)} MiB", flush=True)
        finally:
            sites.stop()
            hub.kill()


def one_order(hub: OpenedHub, sites: Sites, number: int, ids: list[int]) -> float:
    """How long an order takes to one site, in milliseconds."""
    name = f"site-{number:05}"
    durable_us, had = ordered(hub, [ids[number]]), len(sites.came.get(name, []))
    until("it is there", lambda: len(sites.came.get(name, [])) > had)
    until("it is answered", lambda: open_orders(hub) == 0)
    return (sites.came[name][had] - durable_us) / 1000


def peak(history: list[tuple[float, int]], since_s: float) -> float:
    """The most connections made in any second."""
    later = [(at, made) for at, made in sorted(history) if at > since_s]
    rates = [
        (made - earlier) / max(1.0, at - then)
        for index, (then, earlier) in enumerate(later)
        for at, made in later[index + 1 : index + 9]
        if at - then >= 1
    ]
    return max(rates, default=0)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--orders", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fs-") as folder:
        measure(asked.sites, asked.processes, asked.orders, Path(folder))


if __name__ == "__main__":
    main()
