"""What a record costs an agent as it has more streams: 1 to 1,000, the same number of records in all.

The link is up. The records of each stream are handed over 100 a request, the streams in turn; then everything is
flushed to the hub. Time and CPU per record are told, memory, disk, and the bytes on the wire; batches become smaller as
the records are spread over more streams, so bytes per record grow: a batch has its header, and its columns start anew.
Every stream's records are compared with what the hub hands out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.rig.command import Benchmark, Figure, say, size
from tests.benchmarks.rig.door import Request, hand_over, requests_of
from tests.benchmarks.rig.place import prepared_place
from tests.benchmarks.rig.proof import hashes_of
from tests.benchmarks.rig.workload import Workload

MIB: Final = 1024 * 1024
_PER_REQUEST: Final = 100


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Each number of streams at a place of its own."""
    return [
        figure
        for count in options.streams
        for figure in _run(folder / str(count), options.store, options.records, count)
    ]


def _run(folder: Path, store: str, records: int, count: int) -> list[Figure]:
    folder.mkdir()
    lines = Workload().lines(records)
    shares = {f"pumps-{number:04}": lines[number::count] for number in range(count)}
    requests = _in_turn([list(requests_of(share, name, per_request=_PER_REQUEST)) for name, share in shares.items()])
    with prepared_place(folder, store) as place:
        place.start()
        edge, centre = place.edge, place.centre
        wire_before, edge_before, hub_before = place.link.counts(), edge.meter.used(), centre.meter.used()
        began_s = time.monotonic()
        accepted = hand_over(edge.door, requests)
        edge.flush()
        took_s = centre.until_stored(records) - began_s
        edge.meter.until_calm()
        centre.until_in_lake(records)
        edge_used, hub_used = edge.meter.used() - edge_before, centre.meter.used() - hub_before
        wire = place.link.counts()
        rss_bytes, disk_bytes = edge.meter.peak_rss_bytes(), edge.disk_bytes()
        say(f"{count} streams: {accepted.per_s:,.0f} records/s accepted")
        for name, share in shares.items():
            place.prove(hashes_of(share), stream=name)
    of = f"{count:,} streams: "
    sent = wire.up_bytes + wire.down_bytes - wire_before.up_bytes - wire_before.down_bytes
    return [
        Figure(f"{of}accept", accepted.per_s, "records/s"),
        Figure(f"{of}end to end", records / took_s, "records/s"),
        Figure(f"{of}edge CPU per record", edge_used.cpu_s / records * 1e6, "µs"),
        Figure(f"{of}hub CPU per record, in the lake", hub_used.cpu_s / records * 1e6, "µs"),
        Figure(f"{of}edge peak RSS", rss_bytes / MIB, "MiB"),
        Figure(f"{of}edge disk", disk_bytes / records, "B/record"),
        Figure(f"{of}wire", sent / records, "B/record"),
    ]


def _in_turn(of_each: Sequence[Sequence[Request]]) -> list[Request]:
    longest = max(map(len, of_each))
    return [requests[at] for at in range(longest) for requests in of_each if at < len(requests)]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--streams", type=size, nargs="+", default=[1, 10, 100, 1_000], metavar="N", help="(default 1 10 100 1000)"
    )


BENCHMARK = Benchmark(
    name="streams",
    about=__doc__,
    examples=["streams --records 20_000 --streams 1 100", "streams --json"],
    measure=measure,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
