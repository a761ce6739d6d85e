"""Reading what can be read of a damaged file into a new one.

First as SQLite reads it, with a first page of our own: rows from both ends of each table and past what cannot be read.
Then what is still missing is looked for page by page (`carved`). A batch is kept if its digest matches, a chunk if its
checksum does. What is known to have been there and is not found becomes a DAMAGED receipt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import apsw

from farshore_agent.buffer.carved import Finder, find_rows, restore
from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.receipts import present
from farshore_agent.buffer.reconcile import reconcile
from farshore_agent.buffer.rows import Row, StoredBatch, Writer, is_chunk, is_epoch, is_receipt, is_stream
from farshore_agent.buffer.streams import all_streams
from farshore_agent.buffer.view import connected, viewed
from farshore_protocol.ranges import RangeSet

MAX_SKIP: Final = 2**40
WHY: Final = "the buffer's file was damaged"
_KEYED: Final = ("lives", "streams", "chunks", "batches", "receipts", "set_aside")
"""Tables whose first column is the key, a number."""


@dataclass(slots=True)
class Salvaged:
    """What became of a damaged file.

    Attributes:
        lost: records that are known to be lost; each has a receipt.
        unread: tables of which SQLite could not read everything.
    """

    lost: int = 0
    unread: set[str] = field(default_factory=set)


def salvage(damaged: Path, into: Database, now_us: int) -> Salvaged:
    """Copy what can be read."""
    salvaged = Salvaged()
    writer = Writer(into)
    with viewed(damaged) as pages:
        with connected(pages.with_schema()) as connection:
            source = _Source(connection, salvaged.unread)
            orphans = _copy(source, writer)
        if salvaged.unread or orphans or writer.has_refused or _is_incomplete(into):
            found = find_rows(pages)
            restore(found, writer)
            Finder(found, orphans, writer, now_us).find(pages)
    salvaged.lost = reconcile(into, now_us, WHY)
    return salvaged


class _Source:
    """The tables of a damaged file as far as SQLite can read them."""

    def __init__(self, connection: apsw.Connection, unread: set[str]) -> None:
        self._connection = connection
        self.unread = unread

    def rows(self, table: str) -> Iterator[Row]:
        """Every row that can be read, each once."""
        if table not in _KEYED:
            yield from self._read(table, "")
            return
        highest = -1
        start, skip = 0, 1
        while skip < MAX_SKIP:
            for row in self._read(table, f"WHERE id >= {start} ORDER BY id"):
                if row[0] <= highest:
                    # A damaged tree gives rows in any order: only what grows comes to an end.
                    self.unread.add(table)
                    break
                highest, skip = row[0], 1
                yield row
            if table not in self.unread:
                return
            start, skip = highest + skip, skip * 2
        yield from self._read(table, f"WHERE id > {highest} ORDER BY id DESC")

    def body(self, batch: int) -> Row | None:
        """The bytes of a batch."""
        return next(self._read("bodies", f"WHERE batch = {int(batch)}"), None)

    def _read(self, table: str, which: str) -> Iterator[Row]:
        try:
            yield from self._connection.execute(f"SELECT * FROM {table} {which}")  # noqa: S608 - our own tables
        except (apsw.Error, UnicodeDecodeError):
            self.unread.add(table)


def _copy(source: _Source, writer: Writer) -> dict[int, Row]:
    """Copy table after table; the rows of batches whose bytes were not found, by id."""
    writer.put("lives", source.rows("lives"))
    writer.put("streams", filter(is_stream, source.rows("streams")))
    writer.put("receipts", filter(is_receipt, source.rows("receipts")))
    orphans = _copy_batches(source, writer)
    writer.put("chunks", _chunks(source, writer))
    for table in ("epochs", "epoch_copies"):
        writer.put(table, (row for row in source.rows(table) if is_epoch(row)))
    for table in ("dictionaries", "checkpoints", "notes", "set_aside"):
        writer.put(table, source.rows(table))
    for table in ("hours", "chunk_hours", "batch_hours", "receipt_hours"):
        # Nothing is looked for page by page for them: without them only the hours of some records are not known.
        writer.put(table, source.rows(table))
        source.unread.discard(table)
    return orphans


def _chunks(source: _Source, writer: Writer) -> Iterator[Row]:
    known = {row.id: row for row in all_streams(writer.into)}
    sealed = {stream: present(writer.into, stream) for stream in known}
    for row in source.rows("chunks"):
        if row[1] not in known:
            writer.has_refused = True
        # A page that was not written when its chunks were sealed has them still.
        elif is_chunk(known[row[1]], row) and not sealed[row[1]] & RangeSet(((row[2], row[2] + row[3] - 1),)):
            yield row


def _copy_batches(source: _Source, writer: Writer) -> dict[int, Row]:
    known = {row.id: row for row in all_streams(writer.into)}
    orphans: dict[int, Row] = {}
    for row in source.rows("batches"):
        body = source.body(row[0])
        batch = StoredBatch.of(body[1], body[2]) if body else None
        stream = known.get(row[1])
        if batch is None or stream is None or not batch.matches(row) or not batch.is_of(stream):
            orphans[row[0]] = row
        else:
            writer.put_batch(row, batch, stream)
    return orphans


def _is_incomplete(into: Database) -> bool:
    """Whether a stream should have more than it has."""
    return any(row.held - present(into, row.id) for row in all_streams(into))
