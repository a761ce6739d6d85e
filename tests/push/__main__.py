"""Measures orders over MQTT with many connected sites: `python -m tests.push --sites 10000`.

A real hub with its own broker; sites that are the agent's own way to the broker and nothing else, in processes of their
own, and one real agent. Says what broker and hub take in memory and CPU; how long an order takes to one site and until
the real agent has applied it, beside what a bare broker takes; how long a rollout of settings takes until nearly all
sites have reported; and the same when the broker, or the hub, is killed in the middle: nothing may be lost, and the
sites may not come back as one.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.orders.rollout import Strategy
from farshore_hub.store.engine import reading
from farshore_shell.system import allow_many_files
from tests.acceptance.commands import until
from tests.acceptance.hub import Hub
from tests.acceptance.ordering import with_broker
from tests.acceptance.test_push import broker_of, figure
from tests.push.figures import Spent, memory_mib, percentiles
from tests.push.latency import RealAgent, bare_broker, to_a_site, to_a_site_by_the_api
from tests.push.simulated import Sites, enrolled

LONG_S = 3600.0
_REPORTED = "select count(*) from orders where rollout_id = ? and outcome = 'kept'"


@dataclass
class Measurement:
    """A hub, its broker and many sites."""

    hub: Hub
    opened: OpenedHub
    sites: Sites
    ids: list[int]

    def say(self, what: str) -> None:
        print(what, flush=True)

    def connect(self) -> None:
        count, broker, daemon = len(self.ids), broker_of(self.hub), self.hub.daemon.pid
        spent, began_s = Spent(broker, daemon), time.time()
        until("all are connected", lambda: self.sites.up == count, deadline_s=LONG_S)
        until("all have reported", lambda: figure(self.hub, "mqtt_reports") >= count, deadline_s=LONG_S)
        self.say(f"{count} sites connected after {time.time() - began_s:.0f} s: {self.memory()}")
        self.say(f"  to connect and take a report of each: {spent}")
        self.say(f"  the simulated sites: {memory_mib(*self.sites.pids)} MiB in {len(self.sites.pids)} processes")

    def memory(self) -> str:
        return f"broker {memory_mib(broker_of(self.hub))} MiB, hub {memory_mib(self.hub.daemon.pid)} MiB"

    def latencies(self, folder: Path, times: int) -> None:
        took = [to_a_site(self.opened, self.sites, n % len(self.ids), self.ids) for n in range(times)]
        self.say(f"an order, from durable to received: {percentiles(took)}")
        asked = [to_a_site_by_the_api(self.hub, self.sites, n % len(self.ids)) for n in range(times)]
        self.say(f"an order, from asked for over the API to received: {percentiles(asked)}")
        agent = RealAgent(self.hub, self.opened, folder)
        try:
            self.say(f"settings, from durable to applied by a real agent: {percentiles(each(agent, times))}")
        finally:
            agent.stop()
        self.say(f"a bare broker, from publish to receive: {percentiles(bare_broker(self.opened, folder, 5 * times))}")

    def roll_out(self, what: str, linger_ms: int, harm: Callable[[], None] | None = None) -> None:
        """New settings to all; `harm` is done when a tenth has reported."""
        count, before = len(self.ids), self.sites.made
        spent, began_s = Spent(broker_of(self.hub), self.hub.daemon.pid), time.time()
        files = {"fleet.toml": f'[layer]\nprobe_s = 0\n[seal]\nlinger = "{linger_ms} ms"\n'}
        applied = OrderDesks.of(self.opened.fleet).config.apply(files, Strategy(("100%",)), "a benchmark")

        def reported() -> int:
            with reading(self.opened.engine) as connection:
                return int(connection.exec_driver_sql(_REPORTED, (applied.rollout,)).scalar_one())

        harmed_s, had = began_s, 0
        if harm:
            until("a tenth has reported", lambda: reported() >= count // 10, deadline_s=LONG_S)
            harmed_s, had = time.time(), reported()
            harm()
        until("99 % have reported", lambda: reported() >= count - count // 100, deadline_s=LONG_S)
        self.say(f"{what}: 99 % have reported after {time.time() - began_s:.1f} s")
        if not harm:
            self.say(f"  for that: {spent}")
        until("all have reported", lambda: reported() == applied.sites, deadline_s=LONG_S)
        self.say(f"  all {applied.sites} after {time.time() - began_s:.1f} s; {self.memory()}")
        if harm:
            until("all are back", lambda: self.sites.up == count, deadline_s=LONG_S)
            made = self.sites.made - before
            self.say(f"  {had} had reported before; all back {time.time() - harmed_s:.1f} s after, {made} connections")
            self.say(f"  at most {self.sites.peak_since(harmed_s):.0f} connections in a second")
        until("the rollout is over", lambda: self._state(applied.rollout) == "done", deadline_s=LONG_S)

    def _state(self, number: int) -> str:
        return OrderDesks.of(self.opened.fleet).rollouts.story(number).rollout.state.value

    def kill_broker(self) -> None:
        os.kill(broker_of(self.hub), signal.SIGKILL)

    def restart_hub(self) -> None:
        self.hub.kill()
        self.hub.start()


def each(agent: RealAgent, times: int) -> list[float]:
    return [agent.applies(number) for number in range(times)]


def measure(count: int, processes: int, times: int, folder: Path) -> None:
    hub = Hub(folder)
    port = with_broker(hub)
    with open_hub(hub.data) as opened:
        ids = enrolled(opened, folder, count)
        hub.start()
        until("the broker is there", lambda: figure(hub, "mqtt_up") == 1)
        print(f"alone: broker {memory_mib(broker_of(hub))} MiB, hub {memory_mib(hub.daemon.pid)} MiB", flush=True)
        sites = Sites(folder, f"127.0.0.1:{port}", count, processes)
        run = Measurement(hub, opened, sites, ids)
        try:
            run.connect()
            run.latencies(folder, times)
            run.roll_out("a rollout to all", 100)
            run.roll_out("a rollout, the broker killed in the middle", 200, run.kill_broker)
            run.roll_out("a rollout, the hub killed in the middle", 300, run.restart_hub)
        finally:
            sites.stop()
            hub.kill()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--orders", type=int, default=200)
    asked = parser.parse_args()
    allow_many_files()
    with tempfile.TemporaryDirectory(prefix="fs-") as folder:
        measure(asked.sites, asked.processes, asked.orders, Path(folder))


if __name__ == "__main__":
    main()
