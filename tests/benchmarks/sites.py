"""The hub's accept path over TLS: parcels of one batch of 1,000 records each, prepared ahead, from 1 to many sites.

Every site has a real identity and a kept TLS 1.3 connection with its certificate. Its first parcel, which brings the
key epoch, opens the connection: that is measured for itself. Then every site delivers its other parcels one after the
other, at most `--in-flight` sites at one time; the hub answers each after its commit. The benchmark holds the lake's
lease meanwhile, so that the accept path is measured alone; then it lets go, and what the lake costs is measured for
itself. In the end the hub counts and sums all records by SQL.

The producers are threads of one Python process on the same cores: records a second are a lower bound of what the hub
can do, CPU per batch is the hub's own (and its database server's).
"""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from farshore_hub.lake.files.opening import lock_file_of
from farshore_hub.lake.lease import lease_for
from farshore_hub.settings import load
from farshore_hub.store.engine import open_engine
from farshore_protocol.columns import Columns, Effort, Plan, encode
from farshore_shell.system import allow_many_files
from tests.benchmarks.rig.centre import Centre, prepared_centre
from tests.benchmarks.rig.command import Benchmark, Figure, say, size
from tests.benchmarks.rig.edge import STREAM
from tests.benchmarks.rig.fleet import Block, Delivered, deliver, joined_fleet
from tests.benchmarks.rig.proof import NotOnce
from tests.benchmarks.rig.sums import sums_of
from tests.benchmarks.rig.workload import Workload

MIB = 1024 * 1024
MIN_PARCELS, MAX_PARCELS = 3, 500


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured with that many sites."""

    sites: int
    first: Delivered
    first_cpu_s: float
    rest: Delivered
    rest_cpu_s: float
    lake_cpu_s: float
    rss_bytes: tuple[int, int]
    disk_bytes: int
    records: int


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """All fleets, one after the other."""
    allow_many_files()
    return [figure for sites in options.sites for figure in _figures(_run(options, folder / str(sites), sites))]


def _run(options: argparse.Namespace, folder: Path, count: int) -> Run:
    folder.mkdir()
    parcels = max(MIN_PARCELS, min(MAX_PARCELS, options.batches // count))
    blocks, sums = _blocks(parcels, options.per_batch)
    names = [f"site-{number:05}" for number in range(1, count + 1)]
    with ExitStack() as stack:
        centre = stack.enter_context(prepared_centre(folder, options.store))
        hub = centre.hub
        hold_lake = stack.enter_context(_held_lake(centre))
        hub.start()
        fleet = stack.enter_context(joined_fleet(hub.data, hub.port, names, STREAM, blocks))
        say(f"{count} sites with {parcels} parcels each are prepared")
        rss_before, before = centre.meter.rss_bytes(), centre.meter.used()
        first = deliver(fleet, range(1), in_flight=options.in_flight)
        after_first = centre.meter.used()
        rest = deliver(fleet, range(1, parcels), in_flight=options.in_flight)
        after_rest, rss_after = centre.meter.used(), centre.meter.rss_bytes()
        records = count * parcels * options.per_batch
        disk_bytes = sum(path.stat().st_size for path in hub.data.glob("hub.db*"))
        hold_lake.close()
        centre.until_in_lake(records)
        lake = centre.meter.used() - after_rest
        for site in fleet:
            site.close()  # the hub takes ten thousand from one address, and the proof comes from there too
        _prove(centre, sums, count)
    return Run(
        sites=count,
        first=first,
        first_cpu_s=(after_first - before).cpu_s,
        rest=rest,
        rest_cpu_s=(after_rest - after_first).cpu_s,
        lake_cpu_s=lake.cpu_s,
        rss_bytes=(rss_before, rss_after),
        disk_bytes=disk_bytes,
        records=records,
    )


def _blocks(count: int, per_block: int) -> tuple[list[Block], Counter[str]]:
    workload, plan, sums = Workload(), Plan(), Counter[str]()
    blocks = []
    for _ in range(count):
        records = workload.records(per_block)
        sums.update(sums_of(records))
        blocks.append(Block(encode(Columns.from_records(records), effort=Effort.BALANCED, plan=plan), per_block))
    return blocks, sums


def _held_lake(centre: Centre) -> ExitStack:
    """Keeps the hub from writing its lake until it is closed; before the hub starts, which would take it."""
    place = load(centre.hub.data)
    engine = open_engine(place.database_url)
    lease = lease_for(engine, lock_file_of(place))
    assert lease.take()
    stack = ExitStack()
    stack.callback(engine.dispose)
    stack.callback(lease.release)
    return stack


def _prove(centre: Centre, sums: Counter[str], count: int) -> None:
    """Every site has sent the same blocks, so `seq` tells the records of one site apart, not those of all."""
    expected = {key: value * (1 if key == "different" else count) for key, value in sums.items()}
    if (found := centre.sums(STREAM)) != expected:
        raise NotOnce(f"delivered {expected}, stored {found}")
    lines = centre.hub.completeness("site-00001")
    if lines[STREAM]["stored"] != sums["records"]:
        raise NotOnce(f"site-00001 delivered {sums['records']}, stored {lines}")


def _figures(run: Run) -> list[Figure]:
    of = f"{run.sites:,} sites: "
    per_parcel = run.records / (run.first.parcels + run.rest.parcels)
    grown = run.rss_bytes[1] - run.rss_bytes[0]
    return [
        Figure(f"{of}accepted", run.rest.parcels * per_parcel / run.rest.seconds, "records/s"),
        Figure(f"{of}hub CPU per batch of {per_parcel:.0f}", run.rest_cpu_s / run.rest.parcels * 1e6, "µs"),
        Figure(f"{of}answer p50", run.rest.latency_ms(0.5), "ms"),
        Figure(f"{of}answer p99", run.rest.latency_ms(0.99), "ms"),
        Figure(f"{of}hub CPU per first parcel, TLS and key", run.first_cpu_s / run.first.parcels * 1e6, "µs"),
        Figure(f"{of}lake, hub CPU per record", run.lake_cpu_s / run.records * 1e6, "µs"),
        Figure(f"{of}hub RSS", run.rss_bytes[1] / MIB, "MiB"),
        Figure(f"{of}hub RSS grown per site", grown / run.sites / 1024, "KiB"),
        Figure(f"{of}hub database per record", run.disk_bytes / run.records, "B"),
    ]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sites", type=size, nargs="+", default=[1, 16, 256], metavar="N", help="fleets (default 1 16 256)"
    )
    parser.add_argument("--batches", type=size, default=2_000, metavar="N", help="of all sites, about (default 2,000)")
    parser.add_argument("--per-batch", type=size, default=1_000, metavar="N", help="records (default 1,000)")
    parser.add_argument(
        "--in-flight", type=size, default=256, metavar="N", help="parcels at one time, of all sites (default 256)"
    )


BENCHMARK = Benchmark(
    name="sites",
    about=__doc__,
    examples=[
        "sites --sites 16 --batches 200",
        "sites --sites 1 10 100 1_000 10_000 --in-flight 16 --per-batch 100",
        "sites --store postgresql",
    ],
    measure=measure,
    records=0,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
