"""A stream's records as a file: NDJSON exactly as the site sent them, or CSV and Parquet with the columns of the view.

Ordered by site, incarnation and sequence, streamed: what does not fit memory while it is sorted goes to a temporary
folder, and the caller takes piece after piece.
"""

from __future__ import annotations

import enum
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from farshore_hub.errors import Unknown
from farshore_hub.lake.contents import FreshRows
from farshore_hub.lake.naming import INCARNATION, SEQUENCE, SITE, TIME
from farshore_hub.lake.rows import rebuild_all
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.views import quoted, raw_rows
from farshore_hub.lake.worker.messages import Question
from farshore_hub.lake.worker.workers import Asked, Workers
from farshore_hub.texts import exact_json

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


class Export:
    """The file, piece by piece as it is iterated over. Closing it, from any thread, ends the work on it."""

    def __init__(self, asked: Asked, kind: Format) -> None:
        self._asked = asked
        self._kind = kind

    def __iter__(self) -> Iterator[bytes]:
        tables = self._asked.tables()
        return _WRITERS[self._kind](next(tables).schema, tables)

    def close(self) -> None:
        """Whoever asked does not wait any more."""
        self._asked.close()


def export(
    wanted: Wanted, kind: Format, fresh: FreshRows, tables: LakeTables, workers: Workers, settings: QuerySettings
) -> Export:
    """The stream's records as a file. Nothing happens, and nothing is raised, before it is iterated over.

    Raises:
        Unknown: there is no such stream.
        Busy: the lake is too far behind.
        OverLimit: there is too little memory for it.
    """

    def make(temporary: str) -> Question:
        streams = fresh.streams()
        if wanted.stream not in streams:
            raise Unknown(f"there is no stream {wanted.stream!r}", remedy="farshore-hub completeness lists them")
        sql, params = _select(wanted, raw_rows(wanted.stream) if kind is Format.NDJSON else wanted.stream)
        return Question.of(
            sql, tables, settings, streams=streams, named=[wanted.stream], params=params, temporary=temporary
        )

    return Export(Asked(workers, make, fresh, on_disk=True), kind)


def _select(wanted: Wanted, source: str) -> tuple[str, list[str]]:
    conditions = {
        f"{SITE} = ?": wanted.site,
        f"{TIME} >= CAST(? AS TIMESTAMPTZ)": _text(wanted.since),
        f"{TIME} < CAST(? AS TIMESTAMPTZ)": _text(wanted.until),
    }
    given = {sql: value for sql, value in conditions.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    sql = f"SELECT * FROM {quoted(source)} {where} ORDER BY {_ORDER}"  # noqa: S608  of quoted names and constants
    return sql, list(given.values())


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _ndjson(_schema: pa.Schema, tables: Iterator[pa.Table]) -> Iterator[bytes]:
    for table in tables:
        for batch in table.to_batches():
            yield "".join(f"{exact_json.dumps(record)}\n" for record in rebuild_all(batch)).encode()


def _csv(schema: pa.Schema, tables: Iterator[pa.Table]) -> Iterator[bytes]:
    yield (",".join(quoted(name) for name in schema.names) + "\n").encode()
    for table in tables:
        piece = io.BytesIO()
        pacsv.write_csv(table, piece, pacsv.WriteOptions(include_header=False))
        yield piece.getvalue()


def _parquet(schema: pa.Schema, tables: Iterator[pa.Table]) -> Iterator[bytes]:
    pieces = _Pieces()
    with pq.ParquetWriter(pieces, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
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


_WRITERS: Final[dict[Format, Callable[[pa.Schema, Iterator[pa.Table]], Iterator[bytes]]]] = {
    Format.NDJSON: _ndjson,
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
}
