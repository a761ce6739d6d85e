"""Reading everything that is in the file and checking it; changes nothing. For the scrub, and for the doctor's look.

It goes in small steps, each one short read, so that neither the log of a running agent grows meanwhile nor its writer
waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from farshore_agent.buffer import epochs, wal
from farshore_agent.buffer.chunk import Damaged
from farshore_agent.buffer.connection import BUSY_TIMEOUT_MS, Database, Malformed, translated
from farshore_agent.buffer.receipts import present, receipted
from farshore_agent.buffer.rows import Row, StoredBatch, is_dictionary
from farshore_agent.buffer.streams import StreamRow, all_streams
from farshore_agent.buffer.tail import Chunk, checked
from farshore_agent.buffer.view import connected, viewed
from farshore_protocol.ranges import RangeSet, upto

KINDS: Final = ("chunks", "batches", "dictionaries", "epochs")
ROWS_PER_STEP: Final = 16


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is not what was once stored.

    Attributes:
        kind: one of `KINDS`; "file", "log" or "stream".
        what: for people.
        incarnation, stream, lost: which records cannot be read any more; none for a flaw that costs none.
        id: of the row.
    """

    kind: str
    what: str
    incarnation: bytes = b""
    stream: str = ""
    lost: RangeSet = RangeSet()  # noqa: RUF009 - immutable
    id: int | bytes = 0


@dataclass(slots=True)
class Place:
    """How far a reading is: the next kind, after which row; what was read."""

    kind: int = 0
    after: int = 0
    bytes: int = 0

    @property
    def is_end(self) -> bool:
        """Whether everything was read."""
        return self.kind >= len(KINDS)


@contextmanager
def opened(path: Path, *, is_live: bool) -> Iterator[Database]:
    """A buffer for reading only. One that no agent uses is read without making any file beside it.

    Raises:
        Malformed: SQLite cannot read it.
        BufferBroken: the disk refuses.
    """
    if is_live:
        with translated():
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        try:
            yield Database(connection)
        finally:
            connection.close(True)  # noqa: FBT003 - apsw's `force`
        return
    with viewed(path) as pages, translated(), connected(pages) as connection:
        yield Database(connection)


def step(database: Database, at: Place) -> list[Flaw]:
    """Check some rows and move on; the flaws among them."""
    kind = KINDS[at.kind]
    if kind == "epochs":
        found = _epochs(database)
        at.kind += 1
        return found
    rows = database.rows(f"next_{kind}", at.after, ROWS_PER_STEP)
    if not rows:
        at.kind, at.after = at.kind + 1, 0
        return []
    at.after = rows[-1][0]
    at.bytes += sum(len(value) for row in rows for value in row if isinstance(value, bytes))
    streams = {row.id: row for row in all_streams(database)} if kind != "dictionaries" else {}
    flaws = (_CHECKS[kind](streams, row) for row in rows)
    return [flaw for flaw in flaws if flaw]


def structure(database: Database, tables: tuple[str, ...] = ()) -> list[Flaw]:
    """Let SQLite check its pages and indexes; of some tables, or of the whole file."""
    asked = [f"PRAGMA integrity_check({table})" for table in tables] or ["PRAGMA integrity_check(10)"]
    lines = []
    for sql in asked:
        with translated():
            lines += [str(line) for (line,) in database.connection.execute(sql).fetchall() if line != "ok"]
    return [Flaw("file", f"SQLite finds: {lines[0].splitlines()[-1]}")] if lines else []


def totals(database: Database) -> list[Flaw]:
    """Hold what the rows of the streams say against what is there."""
    flaws: list[Flaw] = []
    for row in all_streams(database):
        there = present(database, row.id)
        missing = row.held - there
        if missing:
            flaws.append(_flaw("stream", "records that should be here are not", row, missing))
        if there.highest > row.head or row.given_up - row.acknowledged - upto(row.head):
            flaws.append(_flaw("stream", "there is more than the stream's row says"))
        unstated = row.given_up - row.acknowledged - receipted(database, row.id)
        if unstated:
            flaws.append(_flaw("stream", f"a receipt for {row.name} {unstated} is missing"))
    return flaws


def log_flaws(path: Path) -> list[Flaw]:
    """What has rotted in the write-ahead log of a file that no agent uses."""
    found = wal.look(path).what
    return [Flaw("log", found)] if found else []


def _flaw(kind: str, what: str, row: StreamRow | None = None, lost: RangeSet | None = None, at: int = 0) -> Flaw:
    if row is None:
        return Flaw(kind, what, id=at)
    return Flaw(kind, what, row.incarnation, row.name, lost or RangeSet(), at)


def _chunk(streams: dict[int, StreamRow], row: Row) -> Flaw | None:
    at, stream, *values, body = row
    chunk = Chunk(at, *values)
    owner = streams.get(stream)
    if owner is None:
        return None
    try:
        checked(owner, chunk, body)
    except Damaged as error:
        whole = RangeSet(((chunk.first, max(chunk.first, chunk.last)),))
        return _flaw("chunks", str(error), owner, whole, chunk.id)
    return None


def _batch(streams: dict[int, StreamRow], row: Row) -> Flaw | None:
    at, stream, first, last, digest, state, raw = row
    owner = streams.get(stream)
    if owner is None:
        return None
    batch = StoredBatch.of(raw, None)
    if batch is not None and (batch.header.first, batch.header.last, batch.digest) == (first, last, digest):
        return None
    whole = RangeSet(((first, last),))
    what = "a sealed batch does not match its digest"
    lost = RangeSet() if state == _ACKNOWLEDGED else whole
    return _flaw("batches", what, owner, lost, at)


def _dictionary(_: dict[int, StreamRow], row: Row) -> Flaw | None:
    if is_dictionary(row[1:]):
        return None
    return Flaw("dictionaries", "a dictionary does not match its digest", id=row[1])


def _epochs(database: Database) -> list[Flaw]:
    flaws = []
    for name, message, stated, copy, copy_stated in database.rows("all_epochs"):
        copies = ((message, stated), (copy, copy_stated))
        sound = sum(each is not None and epochs.checksum(name, each) == crc for each, crc in copies)
        if sound < len(copies):
            what = "both copies of a key are damaged" if not sound else "one of the two copies of a key is damaged"
            flaws.append(Flaw("epochs", what, id=name))
    return flaws


_ACKNOWLEDGED: Final = 2
_CHECKS: Final = {"chunks": _chunk, "batches": _batch, "dictionaries": _dictionary}


def read_all(path: Path, *, is_live: bool) -> Iterator[tuple[int, list[Flaw]]]:
    """Check everything; after each step the bytes read so far, and the flaws found in it."""
    try:
        if not is_live:
            yield 0, log_flaws(path)
        with opened(path, is_live=is_live) as database:
            yield 0, structure(database, _TABLES if is_live else ())
            yield 0, totals(database)
            at = Place()
            while not at.is_end:
                flaws = step(database, at)
                yield at.bytes, flaws
    except (Malformed, apsw.Error, ValueError, TypeError) as error:
        yield 0, [Flaw("file", f"the file cannot be read: {error}")]


_TABLES: Final = ("lives", "streams", "chunks", "batches", "bodies", "receipts", "epochs", "dictionaries")
