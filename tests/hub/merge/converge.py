"""Merges a large random world in several orders: `python -m tests.hub.merge.converge --edits 1_000_000 --sites 20`.

Every order, on every store, has to make the table that is worked out the plain way, byte for byte, and keep every value
that has lost; and each site, which follows the table and asks for it in the middle now and then, has to have the same
copy at the end. Exit code 1 when one does not. Tells on the error output how far it is.
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
from tests.hub.merge.copies import Copies
from tests.hub.merge.merging import add_sites, lost_for_good, merge_all, merged_rows
from tests.hub.merge.worlds import World, expected, make_world
from tests.postgres import private_cluster

EDITS_OF_A_KEY: Final = 40
EDITS_OF_THE_HUB: Final = 100
"""That go into the table together."""

MAX_BATCH: Final = 2_000
LOOKS: Final = 20
"""How often it is told how far an order is, and one of the sites asks for the table."""

ORDERS: Final = ("as they came", "the other way round", "at random, some twice")


def main() -> int:
    """Whether one order or store was wrong."""
    args = _arguments()
    keys = max(args.edits // EDITS_OF_A_KEY, 1)
    world = make_world(args.seed, args.sites, args.edits, keys, args.batch, min(args.batch, EDITS_OF_THE_HUB))
    right, right_copy = _digests(world)
    _tell(f"{args.edits} edits in {len(world.batches)} batches are made, the table has to be {right}")
    wrong = 0
    for store in args.stores:
        for order in args.orders:
            with _opened(store) as engine:
                wrong += _is_wrong(engine, world, args, f"{store}, {ORDERS[order - 1]}", order, (right, right_copy))
    sys.stdout.write(f"{args.edits} edits of {args.sites} sites, seed {args.seed}, {right}: {wrong} wrong\n")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=1_000_000)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=MAX_BATCH, help="changes of a batch, at most")
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    told = "; ".join(f"{number}: {name}" for number, name in enumerate(ORDERS, 1))
    parser.add_argument("--orders", nargs="+", type=int, default=[1, 2, 3], choices=[1, 2, 3], help=told)
    return parser.parse_args()


def _is_wrong(
    engine: Engine, world: World, args: argparse.Namespace, name: str, order: int, right: tuple[str, str]
) -> bool:
    began_s = time.process_time()
    copies = _merge(engine, world, order, args, name)
    took_s = time.process_time() - began_s
    is_same = _digest(merged_rows(engine, world)) == right[0]
    missing = len(lost_for_good(engine, world))
    others = sum(_digest(copy) != right[1] for copy in copies.read_all())
    sys.stdout.write(
        f"{name}: {'the same table' if is_same else 'ANOTHER TABLE'}, {missing} values gone, "
        f"{args.sites - others} of {args.sites} sites' copies the same, {took_s:.0f} s of CPU\n"
    )
    sys.stdout.flush()
    return not is_same or bool(missing) or bool(others)


def _merge(engine: Engine, world: World, order: int, args: argparse.Namespace, name: str) -> Copies:
    add_sites(engine, args.sites)
    copies = Copies(engine, world, args.sites)
    chance = random.Random(args.seed)
    batches = {1: world.batches, 2: world.batches[::-1]}.get(order)
    again = None if batches else chance
    batches = batches or chance.sample(world.batches, len(world.batches))
    every = max(len(batches) // LOOKS, 1)

    def look(done: int) -> None:
        if done % every == 0:
            copies.read(done // every % args.sites)
            _tell(f"{name}: {done} of {len(batches)} batches, {time.process_time():.0f} s of CPU")

    merge_all(engine, world, batches, again=again, after_each=look)
    return copies


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _digests(world: World) -> tuple[str, str]:
    """Of the table as it has to be, and of a site's copy, which has no `_open`."""
    rows = expected(world)
    whole = _digest(rows)
    for row in rows.values():
        del row["_open"]
    return whole, _digest(rows)


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
