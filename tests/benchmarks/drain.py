"""How quickly a backlog drains when the link is back: over loopback, or over a slow link.

The records are handed over while the link is cut, as in `end_to_end`; when the agent has sealed what it will and all
is older than `linger`, the link is shaped and restored. "Net of reconnecting" counts from the first byte that the agent
sends after the restoration, so TCP's and TLS's handshakes are in it but the pause before the agent tries again is not.

A shaped link delays each way by half the round trip, lets so many bits a second through each way, and lets a new
connection wait for one round trip as TCP's handshake does. It has no loss, and no slow start of TCP's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tests.benchmarks.rig.command import Benchmark, Figure, say
from tests.benchmarks.rig.door import hand_over, requests_of
from tests.benchmarks.rig.edge import EFFORTS, STREAM
from tests.benchmarks.rig.place import prepared_place
from tests.benchmarks.rig.proof import hashes_of
from tests.benchmarks.rig.workload import Workload

PER_REQUEST = 1_000


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    count = options.records
    lines = Workload().lines(count)
    requests = list(requests_of(lines, STREAM, per_request=PER_REQUEST))
    with prepared_place(folder, options.store, effort=options.effort) as place:
        centre, edge, link = place.centre, place.edge, place.link
        place.start()
        link.cut()
        hand_over(edge.door, requests)
        place.let_it_wait()
        say(f"{count:,} records wait, {edge.disk_bytes() / count:.1f} B a record on disk")
        before, edge_before, hub_before = link.counts(), edge.meter.used(), centre.meter.used()
        link.shape(round_trip_ms=options.round_trip_ms, mbit_s=options.mbit_s)
        link.restore()
        restored_s = time.monotonic()
        first_s = centre.until_stored(1)
        all_s = centre.until_stored(count)
        edge_used = edge.meter.used() - edge_before
        wire = link.counts()
        centre.until_in_lake(count)
        hub_used = centre.meter.used() - hub_before
        link.shape(round_trip_ms=0, mbit_s=0)
        place.prove(hashes_of(lines))
    net_s = all_s - wire.first_up_s
    sent = wire.up_bytes + wire.down_bytes - before.up_bytes - before.down_bytes
    is_slow = options.round_trip_ms or options.mbit_s
    least, aim = (60_000, 120_000) if is_slow else (250_000, 500_000)
    figures = [
        Figure("drain, net of reconnecting", count / net_s, "records/s", least=least, aim=aim),
        Figure("drain, reconnecting included", count / (all_s - restored_s), "records/s"),
        Figure("reconnect to first batch stored", first_s - restored_s, "s", most=None if is_slow else 0.3),
        Figure("wire bytes per record", sent / count, "B"),
        Figure("edge CPU per record, draining", edge_used.cpu_s / count * 1e6, "µs"),
        Figure("hub CPU per record, in the lake", hub_used.cpu_s / count * 1e6, "µs"),
    ]
    if options.mbit_s:
        share = sent * 8 / 1e6 / net_s / options.mbit_s
        figures.append(Figure("share of the link's rate used", 100 * share, "%"))
    return figures


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--effort", choices=EFFORTS, default="auto", help="of the stream (default auto)")
    parser.add_argument("--round-trip-ms", type=float, default=0, metavar="MS", help="of the link (default 0)")
    parser.add_argument("--mbit-s", type=float, default=0, metavar="MBIT", help="each way (default 0: unlimited)")


BENCHMARK = Benchmark(
    name="drain",
    about=__doc__,
    examples=["drain --records 200_000", "drain --round-trip-ms 100 --mbit-s 10", "drain --store postgresql --json"],
    measure=measure,
    records=1_000_000,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
