"""What an agent costs when it has been offline for long: memory, disk and time, as the backlog grows.

For each size: an empty agent with its link up is looked at for its idle memory. Then its buffer is filled with that
many sealed records by a process that opens the agent that ships and appends 10,000 records a call (rig/maker.py); the
file is what weeks offline would leave. Then the installed agent is started with its link cut: start to ready is until
its door answers, and its memory is read when it rests. The link is restored: the time until everything is stored at the
hub, the peak of resident memory meanwhile, CPU per record. In the end the hub counts and sums all fields by SQL, and
that is compared with what was appended.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.rig.command import Benchmark, Figure, say, size
from tests.benchmarks.rig.edge import EFFORTS, STREAM
from tests.benchmarks.rig.place import Place, prepared_place
from tests.benchmarks.rig.proof import NotOnce

MIB = 1024 * 1024
TEN_MILLION = 10_000_000
_ROOT = Path(__file__).resolve().parents[2]
_BUFFER = 'max_bytes = "8 GiB"'


@dataclass(frozen=True, slots=True)
class Backlog:
    """What was measured with one size."""

    records: int
    fill_s: float
    disk_bytes: int
    idle_rss_bytes: int
    ready_s: float
    waiting_rss_bytes: int
    drain_s: float
    draining_rss_bytes: int
    edge_cpu_s: float
    hub_cpu_s: float
    hub_rss_bytes: int


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """All sizes, one after the other."""
    return [figure for records in options.sizes for figure in _figures(_run(options, folder, records))]


def _run(options: argparse.Namespace, folder: Path, records: int) -> Backlog:
    own = folder / str(records)
    own.mkdir()
    with prepared_place(own, options.store, effort=options.effort, buffer=_BUFFER) as place:
        edge, centre = place.edge, place.centre
        place.start()
        edge.meter.until_calm()
        idle_rss_bytes = edge.meter.rss_bytes()
        edge.daemon.stop()
        place.link.cut()
        began_s = time.monotonic()
        sums = _fill(place, records)
        fill_s = time.monotonic() - began_s
        disk_bytes = edge.disk_bytes()
        say(f"{records:,} records wait in {disk_bytes / MIB:.0f} MiB, after {fill_s:.0f} s")
        ready_s = edge.start()
        edge.meter.until_calm()
        waiting_rss_bytes = edge.meter.rss_bytes()
        edge.meter.forget_peak()
        edge_before, hub_before = edge.meter.used(), centre.meter.used()
        place.link.restore()
        restored_s = time.monotonic()
        drain_s = centre.until_stored(records) - restored_s
        edge.until_empty()
        edge_used, draining_rss_bytes = edge.meter.used() - edge_before, edge.meter.peak_rss_bytes()
        centre.until_in_lake(records)
        hub_used, hub_rss_bytes = centre.meter.used() - hub_before, centre.meter.peak_rss_bytes()
        if (found := centre.sums(STREAM)) != sums:
            raise NotOnce(f"appended {sums}, stored {found}")
    return Backlog(
        records=records,
        fill_s=fill_s,
        disk_bytes=disk_bytes,
        idle_rss_bytes=idle_rss_bytes,
        ready_s=ready_s,
        waiting_rss_bytes=waiting_rss_bytes,
        drain_s=drain_s,
        draining_rss_bytes=draining_rss_bytes,
        edge_cpu_s=edge_used.cpu_s,
        hub_cpu_s=hub_used.cpu_s,
        hub_rss_bytes=hub_rss_bytes,
    )


def _fill(place: Place, records: int) -> dict[str, int]:
    line = [sys.executable, "-m", "tests.benchmarks.rig.maker", str(place.edge.settings), str(records)]
    ended = subprocess.run(line, cwd=_ROOT, stdout=subprocess.PIPE, check=True)
    sums: dict[str, int] = json.loads(ended.stdout)
    return sums


def _figures(one: Backlog) -> list[Figure]:
    of, count = f"{one.records:,}: ", one.records
    is_large = count >= TEN_MILLION
    return [
        Figure(f"{of}RSS idle, nothing waits", one.idle_rss_bytes / MIB, "MiB", most=40),
        Figure(f"{of}disk per record", one.disk_bytes / count, "B", most=15 if is_large else None),
        Figure(f"{of}start to ready", one.ready_s, "s", most=1.5),
        Figure(f"{of}RSS idle, all waits", one.waiting_rss_bytes / MIB, "MiB"),
        Figure(f"{of}peak RSS while draining", one.draining_rss_bytes / MIB, "MiB", most=64),
        Figure(f"{of}drain, reconnecting included", count / one.drain_s, "records/s"),
        Figure(f"{of}edge CPU per record, draining", one.edge_cpu_s / count * 1e6, "µs"),
        Figure(f"{of}hub CPU per record, in the lake", one.hub_cpu_s / count * 1e6, "µs"),
        Figure(f"{of}hub peak RSS", one.hub_rss_bytes / MIB, "MiB"),
        Figure(f"{of}append and seal, no door", count / one.fill_s, "records/s"),
    ]


def _options(parser: argparse.ArgumentParser) -> None:
    sizes = [100_000, 1_000_000, TEN_MILLION]
    parser.add_argument(
        "--sizes", type=size, nargs="+", default=sizes, metavar="N", help="records (default 10^5, 10^6, 10^7)"
    )
    parser.add_argument("--effort", choices=EFFORTS, default="auto", help="of the stream (default auto)")


BENCHMARK = Benchmark(
    name="backlog",
    about=__doc__,
    examples=["backlog --sizes 100_000", "backlog --sizes 100_000_000 --folder /srv/large --json"],
    measure=measure,
    records=0,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
