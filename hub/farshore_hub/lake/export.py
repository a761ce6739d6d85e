"""A stream's records as a file: NDJSON exactly as the site sent them, or CSV and Parquet with the columns of the view.

Ordered by site, incarnation and sequence, streamed: what does not fit memory while it is sorted goes to a temporary
folder, and the caller takes piece after piece.
"""

from __future__ import annotations

import enum
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from farshore_hub.errors import Unknown
from farshore_hub.lake import exact_json
from farshore_hub.lake.contents import ContentsReader
from farshore_hub.lake.naming import INCARNATION, SEQUENCE, SITE, TIME
from farshore_hub.lake.query import add_rows, connected
from farshore_hub.lake.rows import rebuild_all
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.views import quoted, select_sql, view_columns

_BATCH_ROWS: Final = 10_000
_ORDER: Final = f"{SITE}, {INCARNATION}, {SEQUENCE}"


class Format(enum.StrEnum):
    """What an export is written as."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records. Records without an event time are in no period.

    Attributes:
        stream: its name.
        site: of this site only.
        since, until: event times from `since` up to but without `until`.
    """

    stream: str
    site: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def export(wanted: Wanted, kind: Format, reader: ContentsReader, settings: QuerySettings) -> Iterator[bytes]:
    """The file, piece by piece.

    Raises:
        Unknown: there is no such stream.
        Busy: the lake is too far behind.
    """
    if wanted.stream not in reader.streams():
        raise Unknown(f"there is no stream {wanted.stream!r}", remedy="farshore-hub completeness lists them")
    contents = reader.read(wanted.stream)
    view = None if kind is Format.NDJSON else view_columns(contents.names)
    with (
        tempfile.TemporaryDirectory(prefix="farshore-export-") as temporary,
        connected(settings, temporary=temporary) as connection,
    ):
        source = add_rows(connection, wanted.stream, contents)
        if view is not None:
            source = f"({select_sql(source, view)})"
        yield from _WRITERS[kind](_select(connection, source, wanted))


def _select(connection: duckdb.DuckDBPyConnection, source: str, wanted: Wanted) -> pa.RecordBatchReader:
    conditions = {
        f"{SITE} = ?": wanted.site,
        f"{TIME} >= ?": wanted.since,
        f"{TIME} < ?": wanted.until,
    }
    given = {sql: value for sql, value in conditions.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    sql = f"SELECT * FROM {source} {where} ORDER BY {_ORDER}"  # noqa: S608  of quoted names and constants
    return connection.sql(sql, params=list(given.values())).to_arrow_reader(_BATCH_ROWS)


def _ndjson(rows: pa.RecordBatchReader) -> Iterator[bytes]:
    for batch in rows:
        yield "".join(f"{exact_json.dumps(record)}\n" for record in rebuild_all(batch)).encode()


def _csv(rows: pa.RecordBatchReader) -> Iterator[bytes]:
    yield (",".join(quoted(name) for name in rows.schema.names) + "\n").encode()
    for batch in rows:
        piece = io.BytesIO()
        pacsv.write_csv(batch, piece, pacsv.WriteOptions(include_header=False))
        yield piece.getvalue()


def _parquet(rows: pa.RecordBatchReader) -> Iterator[bytes]:
    pieces = _Pieces()
    with pq.ParquetWriter(pieces, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)
            yield pieces.take()
    yield pieces.take()


class _Pieces(io.RawIOBase):
    """A file whose content is taken away while it is written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


_WRITERS: Final[dict[Format, Callable[[pa.RecordBatchReader], Iterator[bytes]]]] = {
    Format.NDJSON: _ndjson,
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
}
