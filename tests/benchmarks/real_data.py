"""Bytes on the wire for real data, from the agent's door to the hub, everything counted: trickling, and as a backlog.

Each data set is a site with its own agent and its own counting link; a data set of several files has a stream for each.

  trickle  Every stream gets one record a second of virtual time, and the agent seals what waited for `linger`: 5 s is
           the setting that it ships with; 60 s and 10 min are what one sets where bytes cost. To save hours, time runs
           20 or 60 times quicker: the records come so much quicker, and linger, heartbeat and the pause between two
           looks of the sealer are so much shorter, so each batch and each heartbeat holds what it would hold in real
           time, and nothing else that crosses the link depends on time. (Left out: a whole statement every 10 minutes,
           a few hundred bytes.) Counted from the moment that the connection stands; what it costs to connect is told
           by itself.
  backlog  All records are handed over while the link is cut; counted from the restoration, connecting included.

Every record is compared with what the hub hands out in the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks.rig.centre import Centre, running_centre
from tests.benchmarks.rig.command import Benchmark, Figure, say, size
from tests.benchmarks.rig.door import Request, hand_over, requests_of
from tests.benchmarks.rig.edge import Edge
from tests.benchmarks.rig.link import Link
from tests.benchmarks.rig.proof import hashes_of, prove
from tests.benchmarks.rig.real import Dataset, datasets

_HEARTBEAT_S: Final = 60.0
_TICK_S: Final = 0.05
_PER_REQUEST: Final = 1_000
_CONNECTIONS: Final = 4


@dataclass(frozen=True, slots=True)
class Trickle:
    """How long records wait for others, and how much quicker than real time everything goes."""

    linger_s: float
    speed: int
    seconds: float
    """Virtual."""


TRICKLES: Final = (Trickle(5, 20, 600), Trickle(60, 60, 1_800), Trickle(600, 60, 2_400))
"""The heartbeat cannot be shorter than 1 s, nor the sealer look more often than every 50 ms: that bounds the speed."""


@dataclass(frozen=True, slots=True)
class Station:
    """A data set with its agent and its link."""

    data: Dataset
    edge: Edge
    link: Link

    def bytes_so_far(self) -> int:
        """Both ways."""
        counts = self.link.counts()
        return counts.up_bytes + counts.down_bytes


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Every data set at once, first trickling with each linger, then as a backlog."""
    figures: list[Figure] = []
    for number, trickle in enumerate(TRICKLES[: options.trickles]):
        say(f"trickle with a linger of {trickle.linger_s:g} s, {trickle.seconds / trickle.speed:.0f} s")
        data = datasets(min(options.records, round(trickle.seconds)))
        seal = f'linger = "{round(1000 * trickle.linger_s / trickle.speed)} ms"'
        forward = f'heartbeat = "{round(1000 * _HEARTBEAT_S / trickle.speed)} ms"'
        with _stations(folder / f"t{number}", options.store, data, seal, forward) as (centre, stations):
            figures += _trickle(centre, stations, trickle)
    say("backlog")
    with _stations(folder / "b", options.store, datasets(options.records), "", "") as (centre, stations):
        figures += _backlog(centre, stations)
    return figures


def _trickle(centre: Centre, stations: list[Station], trickle: Trickle) -> Iterator[Figure]:
    connecting, before = {}, {}
    for station in stations:
        enrolled = station.bytes_so_far()
        station.edge.start()
        station.edge.until_linked()
        before[station.data.name] = station.bytes_so_far()
        connecting[station.data.name] = before[station.data.name] - enrolled
    with ThreadPoolExecutor(len(stations)) as threads:
        late_s = max(threads.map(partial(_speak, trickle=trickle), stations))
    for station in stations:
        station.edge.flush()
        sent = station.bytes_so_far() - before[station.data.name]
        _prove(centre, station)
        name = f"{station.data.name}, trickle, linger {trickle.linger_s:g} s"
        yield Figure(name, sent / station.data.lines, "B/record")
        if trickle is TRICKLES[0]:
            yield Figure(f"{station.data.name}, connecting once", connecting[station.data.name], "B")
    yield Figure(f"linger {trickle.linger_s:g} s, records were late by", late_s, "s")


def _speak(station: Station, trickle: Trickle) -> float:
    """Hand over what each stream says, tick by tick; by how many seconds the last one was late."""
    a_tick = max(1, round(trickle.speed * _TICK_S))
    began_s = time.monotonic()
    for tick in range(round(trickle.seconds / a_tick)):
        requests = list(_portion(station.data, tick * a_tick, a_tick))
        hand_over(station.edge.door, requests, connections=min(len(requests), _CONNECTIONS))
        time.sleep(max(0.0, began_s + (tick + 1) * a_tick / trickle.speed - time.monotonic()))
    return max(0.0, time.monotonic() - began_s - trickle.seconds / trickle.speed)


def _backlog(centre: Centre, stations: list[Station]) -> Iterator[Figure]:
    for station in stations:
        station.edge.start()
        station.edge.until_linked()
        station.link.cut()
        for stream, lines in station.data.streams.items():
            hand_over(station.edge.door, list(requests_of(lines, stream, per_request=_PER_REQUEST)))
    for station in stations:
        station.edge.meter.until_calm()
    for station in stations:
        before = station.bytes_so_far()
        station.link.restore()
        station.edge.flush()
        sent = station.bytes_so_far() - before
        _prove(centre, station)
        plain = sum(len(line) for lines in station.data.streams.values() for line in lines)
        yield Figure(f"{station.data.name}, backlog of {station.data.lines:,}", sent / station.data.lines, "B/record")
        yield Figure(f"{station.data.name}, NDJSON", plain / station.data.lines, "B/record")


def _portion(data: Dataset, first: int, count: int) -> Iterator[Request]:
    for stream, lines in data.streams.items():
        if part := lines[first : first + count]:
            yield from requests_of(part, stream, per_request=count)


def _prove(centre: Centre, station: Station) -> None:
    for stream, lines in station.data.streams.items():
        prove(hashes_of(lines), centre.hashes(stream, station.edge.name))


@contextmanager
def _stations(
    folder: Path, store: str, data: list[Dataset], seal: str, forward: str
) -> Iterator[tuple[Centre, list[Station]]]:
    """A hub, and for each data set a link and an agent that has joined."""
    folder.mkdir()
    with ExitStack() as stack:
        centre = stack.enter_context(running_centre(folder, store))
        stations = []
        for each in data:
            link = stack.enter_context(Link(centre.hub.port))
            streams = "time_field = false"
            edge = Edge(folder, link.port, name=each.name, streams=streams, seal=seal, forward=forward)
            stack.callback(edge.daemon.kill)
            edge.join(centre.hub)
            stations.append(Station(each, edge, link))
        yield centre, stations


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trickles", type=size, default=len(TRICKLES), metavar="N", help="how many lingers, from the shortest on"
    )


BENCHMARK = Benchmark(
    name="real_data",
    about=__doc__,
    examples=["real_data --trickles 0", "real_data --trickles 1 --records 300", "real_data --json"],
    measure=measure,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
