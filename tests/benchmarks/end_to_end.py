"""The main figures: half of the records with the link up, half with it cut, then restored.

Agent, proxy and hub are processes of their own; the agent and the hub are the installed commands with the settings that
they ship with, except that the agent tries again within 200 ms when the link is down. Records go through the agent's
HTTP door (a unix socket), 1,000 a request over 8 connections, each request answered after fsync. What is measured:

  wire      every byte over TCP between agent and hub, both ways, from the agent's start to the end: TLS, HTTP, answers
  accept    records acknowledged a second, link up and link cut
  end to end  from the first record's first byte to all of that half stored at the hub
  drain     the half that was handed over while the link was cut, from the first byte up after the restoration
  reconnect from the restoration to the first batch stored
  CPU       user and system, of the agent after its start, through all phases until it rests; of the hub (and of its
            database server) until everything is in its Delta table

At the end every acknowledged record must be stored exactly once, by its content, or there is no figure.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.rig.command import Benchmark, Figure, say
from tests.benchmarks.rig.door import Accepted, Request, hand_over, records_in, requests_of
from tests.benchmarks.rig.edge import EFFORTS, STREAM
from tests.benchmarks.rig.place import Place, prepared_place
from tests.benchmarks.rig.proof import hashes_of
from tests.benchmarks.rig.workload import Workload

PER_REQUEST = 1_000


@dataclass(frozen=True, slots=True)
class Up:
    """The half with the link up."""

    accepted: Accepted
    seconds: float


@dataclass(frozen=True, slots=True)
class Drained:
    """The half that waited for the link; seconds since the restoration, and since the first byte after it."""

    accepted: Accepted
    reconnect_s: float
    seconds: float
    net_s: float
    backlog_bytes: int


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    lines = Workload().lines(options.records)
    say(f"{len(lines):,} records of {sum(map(len, lines)) / len(lines) - 1:.1f} bytes are prepared")
    half = len(lines) // 2
    first = list(requests_of(lines[:half], STREAM, per_request=PER_REQUEST))
    second = list(requests_of(lines[half:], STREAM, per_request=PER_REQUEST))
    with prepared_place(folder, options.store, effort=options.effort) as place:
        centre, edge, link = place.centre, place.edge, place.link
        before = link.counts()
        place.start()
        edge_before, hub_before = edge.meter.used(), centre.meter.used()
        up = _with_link(place, first)
        say(f"link up: accepted {up.accepted.per_s:,.0f}/s, end to end {half / up.seconds:,.0f}/s")
        drained = _through_a_cut(place, second, len(lines))
        say(f"link cut: accepted {drained.accepted.per_s:,.0f}/s, drained in {drained.seconds:.2f} s")
        edge.meter.until_calm()
        centre.until_in_lake(len(lines))
        edge_used, hub_used = edge.meter.used() - edge_before, centre.meter.used() - hub_before
        wire = link.counts()
        memory = edge.meter.peak_rss_bytes(), centre.meter.peak_rss_bytes()
        place.prove(hashes_of(lines))
    count, mib = len(lines), 1024 * 1024
    up_bytes, down_bytes = wire.up_bytes - before.up_bytes, wire.down_bytes - before.down_bytes
    return [
        Figure("wire bytes per record", (up_bytes + down_bytes) / count, "B", most=8, aim=6.5),
        Figure("wire bytes per record, up only", up_bytes / count, "B"),
        Figure("connections", wire.connections - before.connections),
        Figure("accept, link up", up.accepted.per_s, "records/s"),
        Figure("accept, link cut", drained.accepted.per_s, "records/s", least=250_000, aim=370_000),
        Figure("accept p50, link cut", drained.accepted.latency_ms(0.5), "ms"),
        Figure("accept p99, link cut", drained.accepted.latency_ms(0.99), "ms"),
        Figure("end to end, link up", half / up.seconds, "records/s", least=110_000, aim=150_000),
        Figure("drain, loopback", (count - half) / drained.net_s, "records/s", least=250_000, aim=500_000),
        Figure("drain, reconnecting included", (count - half) / drained.seconds, "records/s"),
        Figure("reconnect to first batch stored", drained.reconnect_s, "s", most=0.3),
        _edge_cpu(options.effort, edge_used.cpu_s / count * 1e6),
        Figure("edge disk writes per record", edge_used.written_bytes / count, "B"),
        Figure("edge disk after the cut half", drained.backlog_bytes / (count - half), "B/record"),
        Figure("edge peak RSS", memory[0] / mib, "MiB"),
        Figure("hub CPU per record, in the lake", hub_used.cpu_s / count * 1e6, "µs", most=4, aim=2.5),
        Figure("hub disk writes per record", hub_used.written_bytes / count, "B"),
        Figure("hub peak RSS", memory[1] / mib, "MiB"),
    ]


def _with_link(place: Place, requests: list[Request]) -> Up:
    began_s = time.monotonic()
    accepted = hand_over(place.edge.door, requests)
    place.edge.flush()
    return Up(accepted, place.centre.until_stored(records_in(requests)) - began_s)


def _through_a_cut(place: Place, requests: list[Request], records: int) -> Drained:
    centre, edge, link = place.centre, place.edge, place.link
    stored = centre.stored()
    link.cut()
    accepted = hand_over(edge.door, requests)
    place.let_it_wait()
    backlog_bytes = edge.disk_bytes()
    restored_s = time.monotonic()
    link.restore()
    first_s = centre.until_stored(stored + 1)
    all_s = centre.until_stored(records)
    first_up_s = link.counts().first_up_s
    return Drained(accepted, first_s - restored_s, all_s - restored_s, all_s - first_up_s, backlog_bytes)


def _edge_cpu(effort: str, value: float) -> Figure:
    bars = {"small": (6.0, 4.0), "fast": (3.0, None)}
    most, aim = bars.get(effort, (None, None))
    return Figure(f"edge CPU per record, all phases, effort {effort}", value, "µs", most=most, aim=aim)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--effort", choices=EFFORTS, default="auto", help="of the stream (default auto)")


BENCHMARK = Benchmark(
    name="end_to_end",
    about=__doc__,
    examples=[
        "end_to_end --records 20_000",
        "end_to_end --records 1_000_000 --effort small",
        "end_to_end --store postgresql --json",
    ],
    measure=measure,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
