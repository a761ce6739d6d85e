"""What capturing a table costs the application that writes it, the agent, and the wire.

The application has two databases that are alike; the agent captures the table of one of them. The application writes to
both in turn, a transaction here and one there, in random order: what differs is the triggers and the agent that looks
every 50 ms. At first the table has --rows rows, which the agent has to tell. The link is cut while the application
writes; the wire's bytes are those of telling the changed cells afterwards.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import time
from pathlib import Path

from tests.benchmarks.rig.command import Benchmark, Figure, size
from tests.benchmarks.rig.place import Place, prepared_place

_SCHEMA = "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL, state TEXT, note TEXT)"
_BULK_ROWS = 1_000
_BULKS = 20
_LOOK_S = 0.05


class Shop:
    """One of the two databases."""

    def __init__(self, path: Path, journal: str, rows: int) -> None:
        self.database = sqlite3.connect(path, isolation_level=None, timeout=60)
        self.database.execute(f"PRAGMA journal_mode = {journal}")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute(_SCHEMA)
        chance = random.Random(1)
        given = ((n, f"customer {n % 500}", chance.randint(1, 10**5) / 100, "open", None) for n in range(rows))
        self.database.execute("BEGIN")
        self.database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", given)
        self.database.execute("COMMIT")

    def update(self, first: int, count: int, total: float) -> float:
        """One transaction that changes a cell of so many rows; seconds."""
        began_s = time.perf_counter()
        self.database.execute("BEGIN IMMEDIATE")
        self.database.execute("UPDATE orders SET total = ? WHERE id BETWEEN ? AND ?", (total, first, first + count - 1))
        self.database.execute("COMMIT")
        return time.perf_counter() - began_s


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    with prepared_place(folder, options.store) as place:
        captured = Shop(folder / "captured.db", options.journal, options.rows)
        plain = Shop(folder / "plain.db", options.journal, options.rows)
        with place.edge.settings.open("a") as settings:
            settings.write(f'\n[tables.orders]\ndatabase = "{folder / "captured.db"}"\npoll = "50 ms"\n')
        began_s = time.monotonic()
        place.edge.start()
        _until_told(place, options.rows + 1)
        loaded_s, loaded_cpu_s = time.monotonic() - began_s, place.edge.meter.used().cpu_s
        place.edge.until_empty()
        place.link.cut()
        single = _race(captured, plain, options.transactions, 1, options.rows)
        _until_told(place, options.rows + 1 + options.transactions)
        before = _wire(place)
        place.link.restore()
        place.edge.flush()
        wire = _wire(place) - before
        bulk = _race(captured, plain, _BULKS, _BULK_ROWS, options.rows)
    return [
        Figure("initial load", options.rows / loaded_s, "rows/s"),
        Figure("CPU of the agent for it, start included", loaded_cpu_s / options.rows * 1e6, "µs/row"),
        Figure("transaction of one row, plain p50", single[1][0] * 1e3, "ms"),
        Figure("captured / plain, p50", single[0][0] / single[1][0], "x"),
        Figure("captured / plain, p99", single[0][1] / single[1][1], "x"),
        Figure(f"transaction of {_BULK_ROWS} rows, captured / plain, p50", bulk[0][0] / bulk[1][0], "x"),
        Figure("wire per changed cell", wire / options.transactions, "bytes"),
    ]


def _race(captured: Shop, plain: Shop, transactions: int, count: int, rows: int) -> list[tuple[float, float]]:
    """Median and p99 of the transactions, captured and plain; each row is changed at most once."""
    chance = random.Random(2)
    firsts = chance.sample(range(rows // count), transactions)
    took_s: dict[Shop, list[float]] = {captured: [], plain: []}
    for number, first in enumerate(firsts):
        for shop in chance.sample([captured, plain], 2):
            took_s[shop].append(shop.update(first * count, count, number / 8 + 0.01))
    return [(statistics.median(each), statistics.quantiles(each, n=100)[98]) for each in took_s.values()]


def _wire(place: Place) -> int:
    counts = place.link.counts()
    return counts.up_bytes + counts.down_bytes


def _until_told(place: Place, changes: int) -> None:
    while place.edge.status()["tables"][0]["changes"] < changes:
        place.edge.daemon.check()
        time.sleep(_LOOK_S)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=size, default=50_000, metavar="N", help="in the table (default 50,000)")
    parser.add_argument("--transactions", type=size, default=2_000, metavar="N", help="of one row (default 2,000)")
    parser.add_argument("--journal", default="wal", choices=("wal", "delete", "truncate"), help="mode (default wal)")


BENCHMARK = Benchmark(
    name="capture",
    about=__doc__,
    examples=["capture", "capture --journal delete --transactions 500"],
    measure=measure,
    records=0,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
