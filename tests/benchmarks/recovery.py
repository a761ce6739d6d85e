"""How soon everything is caught up when the agent, or the hub, is killed with SIGKILL in the middle of a load.

Half of the records are handed over when the process is killed; it is started again at once. "Caught up" counts from
that start until every record that was acknowledged by then is stored at the hub. What was sent to the agent but not
answered may be stored, once; then the rest is handed over, and all is compared. Records linger 0.2 s for others (5 s is
usual), so that the figure is not that of a setting.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.rig.command import Benchmark, Figure
from tests.benchmarks.rig.door import Accepted, Producers, Request, hand_over, requests_of
from tests.benchmarks.rig.edge import STREAM
from tests.benchmarks.rig.place import Place, prepared_place
from tests.benchmarks.rig.proof import Hashes, hashes_of
from tests.benchmarks.rig.workload import Workload

PER_REQUEST = 1_000
_LINGER = 'linger = "200 ms"'
_LOOK_S = 0.001


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Both, each at a place of its own."""
    return [
        Figure("caught up after kill -9 of the edge", _edge_killed(options, folder / "e"), "s", most=1.5),
        Figure("caught up after kill -9 of the hub", _hub_killed(options, folder / "h"), "s", most=1.5),
    ]


def _edge_killed(options: argparse.Namespace, folder: Path) -> float:
    requests, hashes = _prepared(options.records)
    folder.mkdir()
    with prepared_place(folder, options.store, seal=_LINGER) as place:
        place.start()
        producers = _half_done(place, requests)
        place.edge.daemon.kill()
        accepted = producers.stop()
        began_s = time.monotonic()
        place.edge.start()
        place.centre.until_stored(accepted.records)
        place.edge.until_empty()
        caught_up_s = time.monotonic() - began_s
        rest = [request for number, request in enumerate(requests) if number not in _sent(accepted)]
        hand_over(place.edge.door, rest)
        place.edge.flush()
        maybe = _of(hashes, accepted.unanswered)
        given = np.setdiff1d(np.concatenate(hashes), maybe)
        place.prove(given, maybe=maybe)
    return caught_up_s


def _hub_killed(options: argparse.Namespace, folder: Path) -> float:
    requests, hashes = _prepared(options.records)
    folder.mkdir()
    with prepared_place(folder, options.store, seal=_LINGER) as place:
        place.start()
        producers = _half_done(place, requests)
        place.centre.hub.kill()
        producers.finish()
        began_s = time.monotonic()
        place.centre.hub.daemon.start()
        caught_up_s = place.centre.until_stored(options.records) - began_s
        place.centre.hub.until_ready()
        place.prove(np.concatenate(hashes))
    return caught_up_s


def _prepared(count: int) -> tuple[list[Request], list[Hashes]]:
    lines = Workload().lines(count)
    parts = [lines[start : start + PER_REQUEST] for start in range(0, count, PER_REQUEST)]
    return list(requests_of(lines, STREAM, per_request=PER_REQUEST)), [hashes_of(part) for part in parts]


def _half_done(place: Place, requests: list[Request]) -> Producers:
    producers = Producers(place.edge.door, requests)
    producers.start()
    while 2 * len(producers.accepted.answered) < len(requests):
        time.sleep(_LOOK_S)
    return producers


def _sent(accepted: Accepted) -> set[int]:
    return {*accepted.answered, *accepted.unanswered}


def _of(hashes: list[Hashes], numbers: list[int]) -> Hashes:
    return np.concatenate([hashes[number] for number in numbers] or [np.empty(0, dtype=np.uint64)])


BENCHMARK = Benchmark(
    name="recovery",
    about=__doc__,
    examples=["recovery", "recovery --records 200_000 --store postgresql"],
    measure=measure,
    records=40_000,
)

if __name__ == "__main__":
    BENCHMARK.main()
