"""How fast the hub merges changes of tables: set-based, and beside it row by row, in one run and on the same store.

Four sites tell of --rows rows each, of which they share half; then each changes two cells of every row. All by
last-write. Row by row is what an application would do: read the row, compare the stamps, write it back, a transaction
for as many changes. Rates are by the clock, of merging alone: opening
batches is not in it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Engine, MetaData, Table, Text, insert, select, update

from farshore_hub.merge.policy import Rules
from farshore_hub.merged.table import OpenTable, Origin
from farshore_hub.store.engine import open_engine, writing
from tests.benchmarks.rig.command import Benchmark, Figure, size
from tests.hub.lake.stored import START_US, make_schema
from tests.hub.merge.merging import add_sites
from tests.postgres import DURABLE, private_cluster

SITES: Final = 4
PIECE: Final = 2_000
CELLS: Final = ("city", "stock", "price", "note")
_SCHEMA: Final = {"op": "schema", "number": 1, "hlc": 1, "schema": "aa", "renamed": {}, "key_columns": ["id"]}
_TYPES: Final = {"id": "INTEGER", "city": "TEXT", "stock": "INTEGER", "price": "INTEGER", "note": "TEXT"}
_COLUMNS: Final = [{"name": name, "type": type_, "not_null": False, "default": None} for name, type_ in _TYPES.items()]
Piece = tuple[int, list[dict[str, Any]]]


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    pieces = [*_pieces(options.rows)]
    rows = sum(len(changes) for _, changes in pieces)
    cells = sum(len(change["cells"]) for _, changes in pieces for change in changes)
    took_s = {}
    for name, merge in (("set-based", _set_based), ("row by row", _row_by_row)):
        with _opened(folder / f"{name}.db", options.store) as engine:
            took_s[name] = merge(engine, pieces)
    fast, slow = took_s["set-based"], took_s["row by row"]
    return [
        Figure("merged, rows", rows / fast, "rows/s"),
        Figure("merged, cells", cells / fast, "cells/s"),
        Figure("row by row, rows", rows / slow, "rows/s"),
        Figure("row by row, cells", cells / slow, "cells/s"),
        Figure("row by row / merged, time", slow / fast, "x"),
    ]


def _pieces(rows: int) -> Iterator[Piece]:
    """What the sites say, in pieces of a transaction each; half of the rows are everybody's."""
    for turn in range(2):
        for site in range(1, SITES + 1):
            changes = [_change(site, number, turn, rows) for number in range(rows)]
            for start in range(0, rows, PIECE):
                yield site, changes[start : start + PIECE]


def _change(site: int, number: int, turn: int, rows: int) -> dict[str, Any]:
    key = number if number < rows // 2 else number + site * rows
    value = site * 7 + number + turn
    cells = {"city": f"city {value % 100}", "stock": value, "price": value * 3, "note": f"note {value}"}
    if turn:
        cells = {name: cells[name] for name in CELLS[:2]}
    hlc = START_US + (turn * SITES + (site * 5 + number) % SITES) * 10**6 + number * 10 + site
    return {"op": "update" if turn else "insert", "key": {"id": key}, "cells": cells, "hlc": hlc, "schema": "aa"}


def _set_based(engine: Engine, pieces: Sequence[Piece]) -> float:
    add_sites(engine, SITES)
    with writing(engine) as connection:
        table = OpenTable.opened(connection, "orders", Rules(), 0)
        table.take_in(connection, [_SCHEMA | {"columns": _COLUMNS}])

    def merge() -> None:
        for number, (site, changes) in enumerate(pieces, 1):
            with writing(engine) as connection:
                table.merge(connection, changes, Origin(site, 2 * START_US, number), 0)

    return _timed(merge)


def _row_by_row(engine: Engine, pieces: Sequence[Piece]) -> float:
    table = _plain_table()
    table.create(engine)

    def merge() -> None:
        for site, changes in pieces:
            with writing(engine) as connection:
                for change in changes:
                    same = table.c.id == change["key"]["id"]
                    found = connection.execute(select(table).where(same)).mappings().one_or_none()
                    stamp = change["hlc"], site
                    new = {
                        name: value
                        for name, value in change["cells"].items()
                        if found is None or stamp > (found[f"{name}_at"], found[f"{name}_by"])
                    }
                    stamps = {f"{name}_at": change["hlc"] for name in new} | {f"{name}_by": site for name in new}
                    if found is None:
                        connection.execute(insert(table).values(change["key"] | new | stamps))
                    elif new:
                        connection.execute(update(table).where(same).values(new | stamps))

    return _timed(merge)


def _plain_table() -> Table:
    stamps: list[Column[Any]] = [Column(f"{name}_{part}", BigInteger) for name in CELLS for part in ("at", "by")]
    values: list[Column[Any]] = [
        Column("city", Text),
        Column("stock", BigInteger),
        Column("price", BigInteger),
        Column("note", Text),
    ]
    return Table("plain", MetaData(), Column("id", BigInteger, primary_key=True, autoincrement=False), *values, *stamps)


def _timed(work: Callable[[], None]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


@contextmanager
def _opened(path: Path, store: str) -> Iterator[Engine]:
    with ExitStack() as stack:
        url = f"sqlite:///{path}"
        if store == "postgresql":
            url = stack.enter_context(stack.enter_context(private_cluster(DURABLE)).database())
        engine = open_engine(url)
        make_schema(engine)
        yield engine
        engine.dispose()


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=size, default=5_000, metavar="N", help="of each site (default 5,000)")


BENCHMARK = Benchmark(
    name="merging",
    about=__doc__,
    examples=["merging", "merging --store postgresql --rows 20_000"],
    measure=measure,
    records=0,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
