"""What an export is written as: rows in, a file out, piece by piece."""

from __future__ import annotations

import enum
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from farshore_hub.lake import ndjson
from farshore_hub.lake.settings import MIB
from farshore_hub.lake.views import quoted

_GROUP_BYTES: Final = 16 * MIB
"""Rows of about that size are a row group of a Parquet file: it is held, and what is said of it stays until the end."""


class Format(enum.StrEnum):
    """What an export is written as."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


def written(kind: Format, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The file with these rows."""
    return _WRITERS[kind](schema, batches)


def _ndjson(_schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    return map(ndjson.lines, batches)


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    yield (",".join(map(quoted, schema.names)) + "\n").encode()
    for batch in batches:
        piece = io.BytesIO()
        pacsv.write_csv(batch, piece, pacsv.WriteOptions(include_header=False))
        yield piece.getvalue()


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    pieces = _Pieces()
    with pq.ParquetWriter(pieces, schema, compression="zstd") as writer:
        for group in grouped(batches, _GROUP_BYTES):
            writer.write_table(group)
            yield pieces.take()
    yield pieces.take()


def grouped(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The same rows, so many bytes or somewhat more at a time."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(each.nbytes for each in held) >= size:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


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


_WRITERS: Final[dict[Format, Callable[[pa.Schema, Iterable[pa.RecordBatch]], Iterator[bytes]]]] = {
    Format.NDJSON: _ndjson,
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
}
