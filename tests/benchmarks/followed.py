"""How soon and how fast rows of a merged table come down to a site that follows it.

Two sites, both with a table of an application; one has --rows rows from the beginning, which have to come to the
other by way of the hub. Then --edits rows are edited at the first site, one after the other: the lag is from the
application's commit there to the commit at the other site, with both agents looking every 50 ms.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from farshore_hub.merge.filters import Filter
from farshore_hub.merge.policy import Rules
from farshore_hub.merged.desk import TableDesk
from farshore_hub.merged.row import By
from farshore_hub.share.sharer import Shared, Sharer
from farshore_hub.store.engine import open_engine
from farshore_protocol.tables import Ask, Followed, pack_pages
from farshore_shell.system import SystemClock, SystemRandom
from tests.acceptance.hub import Hub
from tests.acceptance.site import Site
from tests.benchmarks.rig.command import Benchmark, Figure, size

_SCHEMA = "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL, state TEXT, note TEXT)"
_CELLS = 4
_CHANGED = 500
_LOOK_S = 0.01
_DEADLINE_S = 600.0
_TABLE = """
[tables.orders]
database = "{database}"
direction = "both"
poll = "50 ms"
pull = "50 ms"
"""


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    hub = Hub(folder)
    with (hub.data / "hub.toml").open("a") as settings:
        settings.write("\n[tables.orders]\ndown = true\n")
    hub.start()
    databases = [_made(folder / f"{name}.db") for name in "ab"]
    sites = [Site(f"site-{name}", folder / f"site-{name}", hub.port) for name in "ab"]
    try:
        given = ((n, f"customer {n % 500}", n / 100, "open", None) for n in range(options.rows))
        databases[0].executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", given)
        databases[0].commit()
        for name, site in zip("ab", sites, strict=True):
            site.join(hub)
            with site.settings.open("a") as settings:
                settings.write(_TABLE.format(database=folder / f"{name}.db"))
        sites[0].start()
        _until(lambda: _merged(hub) == options.rows)
        began_s = time.monotonic()
        sites[1].start()
        _until(lambda: _count(databases[1]) == options.rows)
        down_s = time.monotonic() - began_s
        lags_s = [_lag_s(databases, number % options.rows, number) for number in range(options.edits)]
    finally:
        for site in sites:
            site.kill()
        hub.kill()
    first_bytes, changed_bytes = _wire_bytes(hub.data)
    return [
        Figure("rows down, start of the agent included", options.rows / down_s, "rows/s"),
        Figure("wire per cell down, the table read anew", first_bytes / (options.rows * _CELLS), "bytes"),
        Figure("wire per changed cell down, one in a row", changed_bytes / _CHANGED, "bytes"),
        Figure("from an edit at one site to the other, p50", statistics.median(lags_s), "s"),
        Figure("the same, longest", max(lags_s), "s"),
    ]


def _wire_bytes(data: Path) -> tuple[int, int]:
    """What the hub's pages take: of the whole table, and then of `_CHANGED` rows with one changed cell each."""
    engine, rules = open_engine(f"sqlite:///{data / 'hub.db'}"), Rules()
    try:
        sharer = Sharer(engine, SystemRandom(), {"orders": Shared(rules, Filter())})
        sharer.begin()
        whole, cursor = _pages(sharer, b"")
        desk = TableDesk(engine, SystemClock(), {"orders": rules})
        for key in range(_CHANGED):
            desk.change("orders", [key], {"total": key / 7}, By("benchmark"))
        return whole, _pages(sharer, cursor)[0]
    finally:
        engine.dispose()


def _pages(sharer: Sharer, cursor: bytes) -> tuple[int, bytes]:
    """The bytes of all pages from there, and the cursor after them."""
    size, more = 0, True
    while more:
        pages = sharer.answer("site-b", Ask([Followed("orders", cursor)]))
        [page] = pages.pages
        size += len(pack_pages(pages))
        cursor, more = page.cursor, page.more
    return size, cursor


def _made(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=60)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(_SCHEMA)
    return database


def _merged(hub: Hub) -> int:
    with sqlite3.connect(f"file:{hub.data / 'hub.db'}?mode=ro", uri=True) as connection:
        known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'table_orders'").fetchone()
        return int(connection.execute("SELECT count(*) FROM table_orders").fetchone()[0]) if known else 0


def _count(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM orders").fetchone()[0])


def _lag_s(databases: list[sqlite3.Connection], key: int, number: int) -> float:
    note = f"edit {number}"
    databases[0].execute("UPDATE orders SET note = ? WHERE id = ?", (note, key))
    databases[0].commit()
    began_s = time.monotonic()
    _until(lambda: databases[1].execute("SELECT note FROM orders WHERE id = ?", (key,)).fetchone() == (note,))
    return time.monotonic() - began_s


def _until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s, "it does not come to its end"
        time.sleep(_LOOK_S)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=size, default=50_000, metavar="N", help="in the table (default 50,000)")
    parser.add_argument("--edits", type=size, default=50, metavar="N", help="one after the other (default 50)")


BENCHMARK = Benchmark(
    name="followed",
    about=__doc__,
    examples=["followed", "followed --rows 5_000 --edits 10"],
    measure=measure,
    records=0,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
