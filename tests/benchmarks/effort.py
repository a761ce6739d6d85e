"""The effort setting at work: a burst of more than `small` can seal is absorbed, and `small` returns by itself.

The records are the lines of a web server's log, numbered, because they cost most to make small: the pumps of the other
benchmarks are sealed about as quickly as a door can take them, and nothing would have to give way. What the encoder can
do with them at effort `small` on a core of its own is measured first, in this process. Then the link is cut, because an
agent chooses `small` when bytes count more than time, and the agent gets lines through its door at ten times that rate,
or as quickly as it takes them, which is told; afterwards at a tenth of that rate. Its own status is read twice a
second: how many records wait unsealed in the tail, and in how many bytes a record the new batches were sealed. Told are
the longest tail, how long after the burst it is gone, and in how many bytes lines were sealed in the burst and in the
quiet time after it: the second has to be what `small` makes of them. In the end everything is compared.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import orjson

from farshore_protocol.columns import Columns, Effort, Plan, encode
from tests.benchmarks.rig.command import Benchmark, Figure, say
from tests.benchmarks.rig.door import Request, hand_over, requests_of
from tests.benchmarks.rig.edge import STREAM, Edge
from tests.benchmarks.rig.place import prepared_place
from tests.benchmarks.rig.proof import hashes_of
from tests.benchmarks.rig.real import log_lines

_PER_REQUEST: Final = 1_000
_BATCH: Final = 10_000
_LOOK_S: Final = 0.5
_SETTLE_S: Final = 60.0
_SEAL: Final = 'linger_offline = "2 s"\nlinger = "2 s"'


@dataclass(frozen=True, slots=True)
class Look:
    """The agent's status at one moment."""

    at_s: float
    tail_records: int
    sealed_records: int
    sealed_bytes: int


class Watcher:
    """Looks at an agent now and then."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.looks: list[Look] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            self.looks.append(self.look())

    def look(self) -> Look:
        """Now."""
        streams = self._edge.status()["buffer"]["streams"]
        tail = sum(stream["tail_records"] for stream in streams)
        pending = sum(stream["pending"] for stream in streams)
        return Look(time.monotonic(), tail, pending - tail, sum(stream["waiting_bytes"] for stream in streams))


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    (small_per_s, small_bytes), (fast_per_s, fast_bytes) = _encoder(Effort.SMALL), _encoder(Effort.FAST)
    burst_per_s = options.times * small_per_s
    say(f"small seals {small_per_s:,.0f} records/s alone on a core; the burst is {burst_per_s:,.0f}/s")
    supply = _numbered_lines()
    lines = list(islice(supply, round(min(options.records, burst_per_s * options.seconds))))
    calm_per_s = small_per_s / options.times
    after = list(islice(supply, round(calm_per_s * options.calm_seconds)))
    with prepared_place(folder, options.store, streams="time_field = false", seal=_SEAL) as place:
        place.start()
        place.link.cut()
        watcher = Watcher(place.edge)
        watcher.start()
        began_s = time.monotonic()
        _at_rate(place.edge, list(requests_of(lines, STREAM, per_request=_PER_REQUEST)), burst_per_s)
        burst_s = time.monotonic() - began_s
        worst = max(watcher.look().tail_records, *(look.tail_records for look in watcher.looks), 0)
        absorbed_s = _until_absorbed(watcher)
        before_calm = watcher.look()
        _at_rate(place.edge, list(requests_of(after, STREAM, per_request=_PER_REQUEST // 10)), calm_per_s)
        _until_absorbed(watcher)
        after_calm = watcher.look()
        watcher.stop()
        place.link.restore()
        place.edge.flush()
        place.prove(hashes_of(lines + after))
    sealed = after_calm.sealed_records - before_calm.sealed_records
    return [
        Figure("small alone on a core", small_per_s, "records/s"),
        Figure("small alone", small_bytes, "B/record"),
        Figure("fast alone on a core", fast_per_s, "records/s"),
        Figure("fast alone", fast_bytes, "B/record"),
        Figure("burst that was accepted", len(lines) / burst_s, "records/s"),
        Figure("burst, times what small can seal", len(lines) / burst_s / small_per_s),
        Figure("longest tail", worst, "records"),
        Figure("longest tail, of the burst", 100 * worst / len(lines), "%"),
        Figure("tail gone after the burst's end", absorbed_s, "s"),
        Figure("bytes per record sealed in the burst", before_calm.sealed_bytes / before_calm.sealed_records, "B"),
        Figure(
            "bytes per record sealed afterwards",
            (after_calm.sealed_bytes - before_calm.sealed_bytes) / sealed,
            "B",
        ),
    ]


def _numbered_lines() -> Iterator[bytes]:
    messages = [orjson.loads(line)["message"] for line in log_lines()]
    for number, message in enumerate(cycle(messages)):
        yield orjson.dumps({"message": f"{message} #{number}"}, option=orjson.OPT_APPEND_NEWLINE)


def _encoder(effort: Effort) -> tuple[float, float]:
    """Records a second that the encoder alone turns into batches, on one core, and bytes a record."""
    supply, plan = map(orjson.loads, _numbered_lines()), Plan()
    batches = [Columns.from_records(list(islice(supply, _BATCH))) for _ in range(4)]
    encode(batches[0], effort=effort, plan=plan)
    began_s = time.process_time()
    size = sum(len(encode(columns, effort=effort, plan=plan)) for columns in batches[1:])
    records = _BATCH * len(batches[1:])
    return records / (time.process_time() - began_s), size / records


def _at_rate(edge: Edge, requests: list[Request], per_s: float) -> None:
    """Hand over in portions, so that on average so many come a second, unless the door is slower."""
    began_s, given, portion = time.monotonic(), 0, max(1, round(per_s * 0.1 / requests[0].records))
    for first in range(0, len(requests), portion):
        part = requests[first : first + portion]
        hand_over(edge.door, part)
        given += sum(request.records for request in part)
        time.sleep(max(0.0, began_s + given / per_s - time.monotonic()))


def _until_absorbed(watcher: Watcher) -> float:
    """Until nothing is left in the tail; how long that took.

    Raises:
        TimeoutError: the tail does not go away.
    """
    began_s = time.monotonic()
    while watcher.look().tail_records:
        if time.monotonic() - began_s > _SETTLE_S:
            raise TimeoutError(f"{watcher.look()} after {_SETTLE_S:.0f} s: the tail does not go away")
        time.sleep(_LOOK_S)
    return time.monotonic() - began_s


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--times", type=float, default=10, metavar="X", help="what small can seal (default 10)")
    parser.add_argument("--seconds", type=float, default=4, metavar="S", help="of the burst (default 4)")
    parser.add_argument("--calm-seconds", type=float, default=5, metavar="S", help="afterwards (default 5)")


BENCHMARK = Benchmark(
    name="effort",
    about=__doc__,
    examples=["effort --seconds 1 --records 100_000", "effort --times 20 --json"],
    measure=measure,
    records=10_000_000,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
