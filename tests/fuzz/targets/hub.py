"""What the hub makes of what came: rows of the lake, exact JSON, and SQL that somebody asks."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from farshore_hub.errors import HubError
from farshore_hub.lake.files.location import in_folder
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.query import query
from farshore_hub.lake.rows import rebuild_all, to_table
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.spill import Spill
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.worker.workers import Workers
from farshore_hub.texts import exact_json
from farshore_hub.texts.tables import rows_of
from farshore_protocol.columns import Columns, DecodeError, decode
from farshore_shell.system import SystemClock
from tests.fuzz import real
from tests.fuzz.target import target
from tests.fuzz.targets.columns import LIMITS, NESTED, bodies
from tests.protocol.columns.tagged import keys_sorted, to_json

SETTINGS = QuerySettings(timeout_s=2, memory_bytes=64 * 2**20, threads=1, max_result_rows=1_000)
SECRET = "canary-7f3a"
WORKERS = Workers(SystemClock().monotonic_s)
atexit.register(WORKERS.close)

_FOLDER = Path(tempfile.mkdtemp(prefix="farshore-fuzz-sql-"))
_FILE = _FOLDER / "secret.csv"
TABLES = LakeTables(in_folder(_FOLDER / "lake"), b"hub-id-8")
SPILL = Spill(Path(tempfile.mkdtemp(prefix="farshore-fuzz-spill-")), 256 * 2**20)


@target(seeds=bodies)
def lake_rows(data: bytes) -> None:
    """Whatever a site's batch holds becomes rows that give its records back."""
    try:
        columns = decode(data, limits=LIMITS)
    except DecodeError:
        return
    _rows(columns)


@target(seeds=lambda: [msgspec.json.encode(each) for each in (NESTED, real.records())])
def lake_records(data: bytes) -> None:
    """The same from records that a door could take."""
    try:
        records = msgspec.json.decode(data, type=list[dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if records:
        _rows(Columns.from_records(records))


def _rows(columns: Columns) -> None:
    table = to_table(columns, ColumnMap(), site="ship-1", incarnation=b"12345678", first=1)
    assert table.num_rows == columns.count
    found = [record for batch in table.to_batches() for record in rebuild_all(batch)]
    given = columns.records()
    assert to_json(keys_sorted(found)) == to_json(keys_sorted(given))


@target(seeds=lambda: [msgspec.json.encode(each) for each in NESTED] + [b'{"$bytes":"aGk="}', b'{"$object":[]}'])
def json_values(data: bytes) -> None:
    """Values survive the hub's JSON, those too that look like its own tags."""
    try:
        value: Any = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    assert to_json(exact_json.loads(exact_json.dumps(value))) == to_json(value)


class _OneStream:
    """The fresh rows of a stream with a few."""

    def __init__(self) -> None:
        self._names = ColumnMap()
        columns = Columns.from_records(NESTED)
        self._rows = to_table(columns, self._names, site="a", incarnation=b"12345678", first=1)

    def streams(self) -> list[str]:
        return ["boiler"]

    def after(self, _stream: str, _last_commit: int) -> tuple[ColumnMap, Iterator[pa.Table]]:
        return self._names, iter([self._rows])


def _questions() -> Iterator[bytes]:
    _FILE.write_text(f"a,b\n{SECRET},2\n")
    yield b"SELECT _site, count(*), max(_time) FROM boiler GROUP BY _site"
    yield f"SELECT * FROM read_csv('{_FILE}')".encode()
    yield f"SELECT * FROM '{_FILE}'".encode()
    yield f"SELECT content FROM read_text('{_FILE}')".encode()
    yield f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{_FOLDER}/out.csv'".encode()
    yield f"ATTACH '{_FOLDER}/x.db'".encode()
    yield b"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM t) SELECT n FROM t"
    yield b"SELECT tags->>'a', list_transform([1,2], x -> x + 1), regexp_matches('a', '(a+)+$') FROM boiler"
    yield b"PRAGMA database_list; SET memory_limit='9GB'"


@target(seeds=_questions, max_bytes=1000)
def sql(data: bytes) -> None:
    """A question is answered, or refused as an error of the one who asked; no file is read or made."""
    before = sorted(_FOLDER.iterdir())
    try:
        asked = query(data.decode(errors="replace"), _OneStream(), TABLES, WORKERS, SPILL, SETTINGS)  # type: ignore[arg-type]
        found = pa.concat_tables(asked.tables())
    except HubError as error:
        assert error.status < 500, error
        assert SECRET not in str(error)
        return
    finally:
        assert sorted(_FOLDER.iterdir()) == before, "a query has made a file"
    assert SECRET not in str(rows_of(found)), "a query has read a file"
