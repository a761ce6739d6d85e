"""Rows on their way from a damaged file into a new one: what proves that one is sound, and how it is put there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import apsw

from farshore_agent.buffer import epochs
from farshore_agent.buffer.chunk import checksum
from farshore_agent.buffer.connection import Database, Malformed
from farshore_agent.buffer.streams import StreamRow, pack_ranges, unpack_ranges
from farshore_protocol.batch import BatchHeader, digest_of, parse_batch
from farshore_protocol.errors import ProtocolError
from farshore_protocol.hours import HOUR_US
from farshore_protocol.ranges import EMPTY

ROWS_PER_TRANSACTION: Final = 200

Row = tuple[Any, ...]
"""The values of a row in the order of its table's columns."""


def is_stream(row: Row) -> bool:
    """Whether the range sets of a row of `streams` can be read."""
    try:
        for blob in (row[5], row[7]):
            unpack_ranges(blob)
    except (Malformed, TypeError):
        return False
    return True


def is_chunk(stream: StreamRow, row: Row) -> bool:
    """Whether a row of `chunks` is what was once stored for that stream."""
    first, count, expected, body = row[2], row[3], row[6], row[-1]
    if not isinstance(body, bytes):
        return False
    identity = checksum(body, incarnation=stream.incarnation, stream=stream.name, first=first, count=count)
    return bool(identity == expected)


def is_epoch(row: Row) -> bool:
    """Whether a row of `epochs` or `epoch_copies` is what was once stored."""
    epoch, message, expected = row[:3]
    return isinstance(epoch, bytes) and isinstance(message, bytes) and epochs.checksum(epoch, message) == expected


def is_receipt(row: Row) -> bool:
    """Whether a row of `receipts` can be one."""
    return isinstance(row[2], int) and isinstance(row[3], int) and 1 <= row[2] <= row[3]


def is_dictionary(row: Row) -> bool:
    """Whether a row of `dictionaries` is what was once stored."""
    return isinstance(row[3], bytes) and digest_of(row[3]) == row[2]


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """The bytes of a batch, with what they say of themselves."""

    raw: bytes
    digest: bytes
    header: BatchHeader
    summary: bytes | None

    @classmethod
    def of(cls, raw: object, summary: object) -> Self | None:
        """Read them; None if they are no batch."""
        try:
            batch = parse_batch(raw) if isinstance(raw, bytes) else None
        except ProtocolError:
            return None
        if batch is None:
            return None
        return cls(batch.raw, batch.digest, batch.header, summary if isinstance(summary, bytes) else None)

    def matches(self, row: Row) -> bool:
        """Whether that row of `batches` is about these bytes."""
        return (self.header.first, self.header.last, self.digest) == (row[2], row[3], row[5])

    def is_of(self, stream: StreamRow) -> bool:
        """Whether they are of that stream."""
        return (self.header.incarnation, self.header.stream) == (stream.incarnation, stream.name)

    def row(self, batch: int, stream: StreamRow, now_us: int) -> Row:
        """A row of `batches` for bytes whose own row is lost; what nobody knows any more is as of now.

        Its records are not all of this hour, and nothing says of which: their oldest time is put into the hour before.
        """
        head = self.header
        place = (batch, stream.id, head.first, head.last, len(self.raw), self.digest, head.epoch, head.dictionary)
        order = -batch if stream.newest_first else batch
        return (*place, stream.priority, order, 0, now_us - HOUR_US, now_us, now_us, now_us, None, None)


class Writer:
    """Puts rows into the new file, each if it fits what is there.

    Attributes:
        into: the new file.
        has_refused: whether one did not fit, because what it belongs to is not there, say.
    """

    def __init__(self, into: Database) -> None:
        self.into = into
        self.has_refused = False

    def put(self, table: str, rows: Iterable[Row]) -> None:
        """Insert rows. Damage can bring a key twice or a value of the wrong type: that costs the row, not the file."""
        pending: list[Row] = []
        for row in rows:
            pending.append(row)
            if len(pending) == ROWS_PER_TRANSACTION:
                self._insert(table, pending)
                pending = []
        self._insert(table, pending)

    def put_batch(self, row: Row, batch: StoredBatch, stream: StreamRow) -> bool:
        """Insert a batch of that stream with its bytes; whether it fits."""
        with self.into.transaction():
            return self._insert_one("batches", (row[0], stream.id, *row[2:])) and self._insert_one(
                "bodies", (row[0], batch.raw, batch.summary)
            )

    def restore_stream(self, stream: int | None, incarnation: bytes, name: str) -> None:
        """Make a stream's row anew; its head grows with what is found of it."""
        with self.into.transaction():
            life = self.into.row("life_of", incarnation)
            life_id = life[0] if life else self.into.insert("add_life", incarnation, 0)
            empty = pack_ranges(EMPTY)
            self._insert_one("streams", (stream, life_id, name, 0, 0, empty, 0, empty, 0, 0, None, 0, 0))

    def _insert(self, table: str, rows: list[Row]) -> None:
        if rows:
            with self.into.transaction():
                for row in rows:
                    self._insert_one(table, row)

    def _insert_one(self, table: str, row: Row) -> bool:
        marks = ", ".join("?" * len(row))
        try:
            self.into.connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
        except (apsw.ConstraintError, apsw.MismatchError, apsw.SQLError):
            self.has_refused = True
            return False
        return bool(self.into.connection.changes())
