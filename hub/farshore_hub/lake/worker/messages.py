"""What hub and worker say to one another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Self

import pyarrow as pa

from farshore_hub.errors import Busy, HubError, Invalid, OverLimit, TimedOut, Unknown
from farshore_hub.lake.naming import ColumnMap, ColumnType, LakeColumn
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.spill import Folder
from farshore_hub.lake.tables import LakeTables
from farshore_protocol.limits import MIB

PIECE_BYTES: Final = 2 * MIB
"""Rows travel in pieces of about that size, or one by one where they are larger."""

_PROBLEMS: Final[Mapping[str, type[HubError]]] = {
    each.kind: each for each in (Busy, Invalid, OverLimit, TimedOut, Unknown)
}


@dataclass(frozen=True, slots=True)
class Question:
    """What a worker is asked.

    Attributes:
        sql: one SELECT.
        params: of the SELECT, as text.
        streams: the names of all streams.
        named: of these, those that the SELECT may be about.
        lake: where the Delta tables are.
        lake_options: of the object store that they are in, secrets among them.
        hub: id of the hub that writes them, in hexadecimal.
        form: of an export, which has all rows in order; empty: the answer has those that there are, within bounds.
        spill: a folder for what does not fit memory, of this question alone.
        spill_bytes: what may be put there.
        process_bytes: what the process may take beside what it had at its start.
        memory_bytes, threads: of DuckDB.
        portion_rows: of an export, so many are sorted at one time.
        max_result_rows, max_result_bytes: of an answer without a format.
    """

    sql: str
    params: Sequence[str]
    streams: Sequence[str]
    named: Sequence[str]
    lake: str
    lake_options: Mapping[str, str]
    hub: str
    form: str
    spill: str
    spill_bytes: int
    process_bytes: int
    memory_bytes: int
    threads: int
    portion_rows: int
    max_result_rows: int
    max_result_bytes: int

    @classmethod
    def of(
        cls,
        sql: str,
        tables: LakeTables,
        settings: QuerySettings,
        folder: Folder,
        *,
        streams: Sequence[str],
        named: Sequence[str],
        params: Sequence[str] = (),
        form: str = "",
    ) -> Self:
        """With the bounds of `settings`."""
        return cls(
            sql,
            params=params,
            streams=streams,
            named=named,
            lake=tables.location.url,
            lake_options=tables.location.options,
            hub=tables.hub.hex(),
            form=form,
            spill=str(folder.path.absolute()),
            spill_bytes=folder.max_bytes,
            process_bytes=settings.process_bytes,
            memory_bytes=settings.memory_bytes,
            threads=settings.threads,
            portion_rows=settings.portion_rows,
            max_result_rows=settings.max_result_rows,
            max_result_bytes=settings.max_result_bytes,
        )

    def to_bytes(self) -> bytes:
        """As a frame's body."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def from_bytes(raw: bytes | bytearray) -> Question:
        """Of a frame's body."""
        return Question(**json.loads(raw))


def commits_to_bytes(last_commits: Mapping[str, int]) -> bytes:
    """For every named stream the newest lake commit that its table contains."""
    return json.dumps(last_commits).encode()


def commits_from_bytes(raw: bytes | bytearray) -> dict[str, int]:
    """The reverse."""
    return dict(json.loads(raw))


def columns_to_bytes(names: ColumnMap) -> bytes:
    """All columns of a stream; said after its rows."""
    return json.dumps(list(names)).encode()


def columns_from_bytes(raw: bytes | bytearray) -> ColumnMap:
    """The reverse."""
    return ColumnMap(LakeColumn(field, ColumnType(kind), column) for field, kind, column in json.loads(raw))


def problem_to_bytes(error: HubError) -> bytes:
    """An error that the asker is told."""
    return json.dumps([error.kind, error.detail, error.remedy]).encode()


def problem_from_bytes(raw: bytes | bytearray) -> HubError:
    """The reverse."""
    kind, detail, remedy = json.loads(raw)
    return _PROBLEMS.get(kind, HubError)(detail, remedy=remedy)


def in_pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that a frame holds, unless a single row is larger."""
    for batch in batches:
        size = max(1, batch.num_rows * PIECE_BYTES // max(1, batch.nbytes))
        for start in range(0, batch.num_rows, size):
            yield from _halved(batch.slice(start, size))


def _halved(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Where a few rows are much larger than the others."""
    if batch.nbytes <= 4 * PIECE_BYTES or batch.num_rows == 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _halved(batch.slice(0, half))
    yield from _halved(batch.slice(half))


def batch_to_buffer(batch: pa.RecordBatch) -> memoryview:
    """The batch as an Arrow stream of its own."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue())


def batch_from_buffer(raw: bytes | bytearray) -> pa.Table:
    """The reverse: the schema, and the rows if there are any."""
    return pa.ipc.open_stream(pa.py_buffer(raw)).read_all()
