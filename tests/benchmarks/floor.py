"""What the machine itself can do with the same records, so that figures can be read as shares of a limit.

  append       1,000 lines of JSON a write to a file, then fdatasync: what any durable acknowledgement costs at least
  sqlite rows  1,000 rows a transaction by executemany, WAL and synchronous=FULL, as in the agent
  sqlite blob  the same lines as one row of bytes a transaction
  decode       JSON to Python values by msgspec, nothing kept: what reading the records costs at least
  encode       the product's own columns at each effort, 10,000 records a batch, nothing stored

All in one process on the disk of `--folder`. A fsync's price varies tenfold with the neighbours: compare inside one
run only.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from farshore_protocol.columns import Columns, Effort, Plan, encode
from tests.benchmarks.rig.command import Benchmark, Figure
from tests.benchmarks.rig.workload import FIELDS, Workload

_A_COMMIT: Final = 1_000
_A_BATCH: Final = 10_000
_ROW: Final = f"INSERT INTO rows VALUES ({', '.join('?' * len(FIELDS))})"


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One after the other."""
    lines = Workload().lines(options.records)
    rows = list(Workload().rows(options.records))
    return [
        *_timed("append and fdatasync", options.records, lambda: _append(folder / "file", lines)),
        *_timed("SQLite, executemany of rows", options.records, lambda: _rows(folder / "rows.db", rows)),
        *_timed("SQLite, one blob a commit", options.records, lambda: _blobs(folder / "blobs.db", lines)),
        *_timed("JSON decode", options.records, lambda: _decode(lines)),
        *(_encoded(effort, options.records) for effort in Effort),
    ]


def _timed(name: str, records: int, work: Callable[[], None]) -> Iterator[Figure]:
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    work()
    seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    yield Figure(name, records / seconds, "records/s")
    yield Figure(f"{name}, CPU per record", cpu_s / records * 1e6, "µs")


def _parts(of: Sequence[Any], count: int) -> Iterator[Sequence[Any]]:
    return (of[start : start + count] for start in range(0, len(of), count))


def _append(path: Path, lines: Sequence[bytes]) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for part in _parts(lines, _A_COMMIT):
        os.write(file, b"".join(part))
        os.fdatasync(file)
    os.close(file)


def _rows(path: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    with closing(_database(path)) as database:
        database.execute(f"CREATE TABLE rows ({', '.join(FIELDS)})")
        for part in _parts(rows, _A_COMMIT):
            database.execute("BEGIN IMMEDIATE")
            database.executemany(_ROW, part)
            database.execute("COMMIT")


def _blobs(path: Path, lines: Sequence[bytes]) -> None:
    with closing(_database(path)) as database:
        database.execute("CREATE TABLE chunks (body)")
        for part in _parts(lines, _A_COMMIT):
            database.execute("INSERT INTO chunks VALUES (?)", (b"".join(part),))


def _database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    return database


def _decode(lines: Sequence[bytes]) -> None:
    decoder = msgspec.json.Decoder()
    for part in _parts(lines, _A_COMMIT):
        decoder.decode_lines(b"".join(part))


def _encoded(effort: Effort, count: int) -> Figure:
    workload, plan = Workload(), Plan()
    batches = [Columns.from_records(workload.records(_A_BATCH)) for _ in range(1 + min(4, count // _A_BATCH))]
    encode(batches[0], effort=effort, plan=plan)
    began_s = time.process_time()
    size = sum(len(encode(columns, effort=effort, plan=plan)) for columns in batches[1:])
    records = _A_BATCH * (len(batches) - 1)
    cpu_us = (time.process_time() - began_s) / records * 1e6
    return Figure(f"encode columns, {effort.value} ({size / records:.2f} B), CPU per record", cpu_us, "µs")


BENCHMARK = Benchmark(
    name="floor",
    about=__doc__,
    examples=["floor --records 20_000", "floor --folder /srv --json"],
    measure=measure,
    has_store=False,
)

if __name__ == "__main__":
    BENCHMARK.main()
