"""How soon, and for how many bytes, a hub has everything again of which it lost a part.

Random sealed batches get a flipped bit, and every file of the lake is deleted, while the hub and the agent run. Then
the hub's audit begins, as fast as it can read. The time is from there until every damage is healed and an audit finds
nothing; the bytes are all that went up over the link meanwhile, heartbeats included. What is sound among the sealed
batches costs no bytes: the lake is written again from them.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, func, select

from farshore_hub.audit.auditor import ask_for_audit
from farshore_hub.store import damages
from farshore_hub.store.engine import reading
from farshore_hub.store.schema import batches
from tests.acceptance.harm import destroy
from tests.benchmarks.rig.command import Benchmark, Figure
from tests.benchmarks.rig.door import hand_over, requests_of
from tests.benchmarks.rig.edge import STREAM
from tests.benchmarks.rig.place import Place, prepared_place
from tests.benchmarks.rig.proof import hashes_of
from tests.benchmarks.rig.workload import Workload

PER_REQUEST = 1_000
_SEAL = 'linger = "200 ms"\nmax_records = 5_000'
_FAST = '\n[audit]\nrate = "4 GiB/s"\n'
_HEARTBEAT = 'heartbeat = "1 s"'
_LOOK_S = 0.05
_DEADLINE_S = 600.0


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Deliver, damage, wait until all is there again, and prove it."""
    lines = Workload().lines(options.records)
    with prepared_place(folder, options.store, seal=_SEAL, forward=_HEARTBEAT) as place:
        _deliver(place, lines)
        engine = place.centre._engine
        with reading(engine) as connection:
            stored = int(connection.scalar(select(func.count()).select_from(batches)) or 0)
        count = max(1, round(stored * options.share))
        before = place.link.counts().up_bytes
        size = destroy(engine, place.centre.hub.data / "lake" / STREAM, random.Random(options.seed), count)
        began_s = time.monotonic()
        ask_for_audit(engine, 1)
        healed_s = _until_healed(engine, began_s)
        up_bytes = place.link.counts().up_bytes - before
        place.centre.until_in_lake(options.records)
        whole_s = time.monotonic() - began_s
        said = place.centre.hub.run("audit")
        if said.code:
            raise RuntimeError(f"not all is there again: {said.out}")
        place.prove(np.concatenate([hashes_of(lines)]))
    return [
        Figure("sealed batches", stored),
        Figure("of these damaged", count),
        Figure("damaged bytes", size, "B"),
        Figure("until every damage was healed", healed_s, "s"),
        Figure("until the lake was whole, too", whole_s, "s"),
        Figure("bytes up for a damaged byte", up_bytes / size, most=1.05),
    ]


def _deliver(place: Place, lines: list[bytes]) -> None:
    with (place.centre.hub.data / "hub.toml").open("a") as settings:
        settings.write(_FAST)
    place.centre.hub.stop()
    place.centre.hub.start()
    place.start()
    hand_over(place.edge.door, list(requests_of(lines, STREAM, per_request=PER_REQUEST)))
    place.edge.flush()
    place.centre.until_in_lake(len(lines))


def _until_healed(engine: Engine, began_s: float) -> float:
    ended: list[str] = []
    while time.monotonic() - began_s < _DEADLINE_S:
        with reading(engine) as connection:
            ended = [each.outcome for each in damages.tally(connection)]
        if ended == ["healed"]:
            return time.monotonic() - began_s
        time.sleep(_LOOK_S)
    raise TimeoutError(f"the damages are {ended}")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--share", type=float, default=0.1, help="of the sealed batches (default 0.1)")
    parser.add_argument("--seed", type=int, default=1, help="of the choice (default 1)")


BENCHMARK = Benchmark(
    name="repair",
    about=__doc__,
    examples=["repair", "repair --records 400_000 --share 0.5 --store postgresql"],
    measure=measure,
    records=200_000,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
