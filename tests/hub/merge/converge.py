"""Merges a large random world in several orders: `python -m tests.hub.merge.converge --edits 1_000_000 --sites 20`.

Every order, on every store, has to make the table that is worked out the plain way, byte for byte, and keep every value
that has lost. Exit code 1 when one does not.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from farshore_hub.store.engine import open_engine
from tests.hub.lake.stored import make_schema
from tests.hub.merge.merging import add_sites, lost_for_good, merge_all, merged_rows
from tests.hub.merge.worlds import World, expected, make_world
from tests.postgres import private_cluster

EDITS_OF_A_KEY: Final = 40
ORDERS: Final = ("as they came", "the other way round", "at random, some twice")


def main() -> int:
    """Whether one order or store was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=1_000_000)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    args = parser.parse_args()
    world = make_world(args.seed, args.sites, args.edits, max(args.edits // EDITS_OF_A_KEY, 1))
    right = _digest(expected(world))
    wrong = 0
    for store in args.stores:
        for order in ORDERS:
            with _opened(store) as engine:
                began_s = time.process_time()
                _merge(engine, world, order, args)
                same, missing = _digest(merged_rows(engine, world)) == right, len(lost_for_good(engine, world))
                wrong += not same or bool(missing)
                said = "the same table" if same else "ANOTHER TABLE"
                took_s = time.process_time() - began_s
                sys.stdout.write(f"{store}, {order}: {said}, {missing} values gone, {took_s:.0f} s of CPU\n")
    sys.stdout.write(f"{args.edits} edits of {args.sites} sites, seed {args.seed}, {right}: {wrong} wrong\n")
    return 1 if wrong else 0


def _merge(engine: Engine, world: World, order: str, args: argparse.Namespace) -> None:
    add_sites(engine, args.sites)
    chance = random.Random(args.seed)
    batches = {ORDERS[0]: world.batches, ORDERS[1]: world.batches[::-1]}.get(order)
    if batches is None:
        merge_all(engine, world, chance.sample(world.batches, len(world.batches)), again=chance)
    else:
        merge_all(engine, world, batches)


def _digest(rows: dict[str, dict[str, object]]) -> str:
    text = "\n".join(f"{key} {row!r}" for key, row in sorted(rows.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _opened(store: str) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as folder:
        if store == "sqlite":
            yield from _made(f"sqlite:///{Path(folder) / 'hub.db'}")
        else:
            with private_cluster() as cluster, cluster.database() as url:
                yield from _made(url)


def _made(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    make_schema(engine)
    yield engine
    engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
