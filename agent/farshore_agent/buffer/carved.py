"""What a damaged file holds beside what SQLite can read of it: rows found page by page, each proven before it is taken.

A page that is free still holds the rows it once had. So a chunk or batch that was found this way is taken only if its
stream lacks just that range, and what has no proof of its own only if nothing better was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from farshore_agent.buffer.carve import carve
from farshore_agent.buffer.receipts import present, receipted
from farshore_agent.buffer.rows import (
    Row,
    StoredBatch,
    Writer,
    is_chunk,
    is_dictionary,
    is_epoch,
    is_receipt,
    is_stream,
)
from farshore_agent.buffer.streams import StreamRow, all_streams, stream_by_name
from farshore_agent.buffer.view import Pages
from farshore_protocol.batch import DIGEST_BYTES, ID_BYTES, BatchHeader
from farshore_protocol.ranges import EMPTY, RangeSet

NOTES: Final = ("hub", "repairs", "scrub")
"""The keys of `notes`; a pair of text and bytes with another key is a checkpoint."""

_TABLES: Final = {
    "lives": "-biii",
    "streams": "-isiibibii?ii",
    "chunks": "-iiiiiiiiib",
    "batches": "-iiiibb?iiiiiii??",
    "bodies": "-b?",
    "receipts": "-iiisis???i?",
    "dictionaries": "bbbbi",
    "set_aside": "-bsiiisb",
}
"""What the columns of each table hold: a number, text or bytes; `-` is the key, which is not in its place, `?` any."""

_KINDS: Final = {int: "i", str: "s", bytes: "b", type(None): "-"}


@dataclass(slots=True)
class Found:
    """Small rows by table, and what the indexes tell of rows that are lost.

    Attributes:
        lives: incarnations by the number of their life.
        names: of streams by their number: the life's number and the name.
        digests: of batches that were stored.
        batches: rows by id.
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    lives: dict[int, list[bytes]] = field(default_factory=dict)
    names: dict[int, tuple[int, str]] = field(default_factory=dict)
    digests: set[bytes] = field(default_factory=set)
    batches: dict[int, Row] = field(default_factory=dict)

    def add(self, table: str, row: Row) -> None:
        """Keep a row."""
        self.tables.setdefault(table, []).append(row)


def find_rows(pages: Pages) -> Found:
    """Read everything but the large bodies off the pages."""
    found = Found()
    for row in carve(pages):
        if row.rowid is None:
            _sort_index(found, row.values)
        else:
            _sort_table(found, row.rowid, row.values)
    return found


def _sort_index(found: Found, values: Row) -> None:
    kinds = tuple(map(type, values))
    if kinds == (bytes, int) and len(values[0]) == DIGEST_BYTES:
        found.digests.add(values[0])
    elif kinds == (bytes, int) and len(values[0]) == ID_BYTES:
        found.lives.setdefault(values[1], []).append(values[0])
    elif kinds == (int, str, int):
        found.names[values[2]] = values[:2]
    elif kinds == (str, bytes):
        found.add("notes" if values[0] in NOTES else "checkpoints", values)
    elif kinds == (bytes, bytes, int, int):
        found.add("epochs", values)
    elif kinds == (bytes, bytes, int):
        found.add("epoch_copies", values)


def _table_of(values: Row) -> str:
    """The table that such a row is of; nothing if it is of none."""
    kinds = "".join(_KINDS.get(type(value), "?") for value in values)
    return next((table for table, columns in _TABLES.items() if _agree(kinds, columns)), "")


def _agree(kinds: str, columns: str) -> bool:
    return len(kinds) == len(columns) and all(want in ("?", kind) for kind, want in zip(kinds, columns, strict=True))


def _sort_table(found: Found, rowid: int, values: Row) -> None:
    table = _table_of(values)
    if table == "batches":
        found.batches[rowid] = (rowid, *values[1:])
    elif table == "dictionaries":
        found.add(table, values)
    elif table and table not in ("chunks", "bodies"):
        found.add(table, (rowid, *values[1:]))


def restore(found: Found, writer: Writer) -> None:
    """Put the small rows that were not read before into the new file."""
    writer.put("lives", found.tables.get("lives", ()))
    writer.put("lives", ((life, incarnation, 0, 0, 0) for life, incarnation in _lost_lives(found)))
    # Of several versions of a row the newest is the one with the highest head.
    streams = filter(is_stream, found.tables.get("streams", ()))
    writer.put("streams", sorted(streams, key=lambda row: row[4], reverse=True))
    _restore_streams(found, writer)
    writer.put("receipts", filter(is_receipt, found.tables.get("receipts", ())))
    for table, is_sound in (("epochs", is_epoch), ("epoch_copies", is_epoch), ("dictionaries", is_dictionary)):
        writer.put(table, (row for row in found.tables.get(table, ()) if is_sound(row)))
    for table in ("checkpoints", "notes", "set_aside"):
        writer.put(table, reversed(found.tables.get(table, ())))


def _lost_lives(found: Found) -> Iterator[tuple[int, bytes]]:
    """Lives as the index of their incarnations has them; keys and dictionaries have indexes of the same form."""
    others = {row[0] for table in ("epochs", "epoch_copies", "dictionaries") for row in found.tables.get(table, ())}
    others |= {row[6] for row in found.batches.values()}
    for life, candidates in found.lives.items():
        names = set(candidates) - others
        if len(names) == 1:
            yield life, names.pop()


def _restore_streams(found: Found, writer: Writer) -> None:
    """Streams whose row is lost, from the index of their names."""
    incarnations = dict(writer.into.rows("all_lives"))
    known = {row.id for row in all_streams(writer.into)}
    for stream, (life, name) in found.names.items():
        if stream not in known and life in incarnations:
            writer.restore_stream(stream, incarnations[life], name)


class Finder:
    """Looks for chunks and batches that the new file lacks."""

    def __init__(self, found: Found, orphans: Mapping[int, Row], writer: Writer, now_us: int) -> None:
        self._found = found
        self._orphans = orphans
        self._writer = writer
        self._now_us = now_us
        into = writer.into
        self._streams = {row.id: row for row in all_streams(into)}
        self._by_name = {(row.incarnation, row.name): row for row in self._streams.values()}
        self._present = {stream: present(into, stream) for stream in self._streams}
        self._gone = {stream: row.given_up | receipted(into, stream) for stream, row in self._streams.items()}

    def find(self, pages: Pages) -> None:
        """Read all pages once more, and take what is missing."""
        for row in carve(pages):
            table = "" if row.rowid is None else _table_of(row.values)
            if table == "bodies":
                self._take_batch(row.rowid or 0, StoredBatch.of(row.values[1], row.values[2]))
            elif table == "chunks":
                self._take_chunk(row.values)

    def _take_batch(self, at: int, batch: StoredBatch | None) -> None:
        if batch is None:
            return
        head = batch.header
        stream = self._stream_of(head)
        row = self._orphans.get(at) or self._found.batches.get(at)
        if row is None or not batch.matches(row):
            if batch.digest not in self._found.digests:
                return
            row = batch.row(at, stream, self._now_us)
        is_live = at in self._orphans
        if self._fits(stream, head.first, head.last, is_live=is_live) and self._writer.put_batch(row, batch, stream):
            self._add(stream, head.first, head.last)

    def _take_chunk(self, values: Row) -> None:
        stream = self._streams.get(values[1])
        if stream is None or not is_chunk(stream, values):
            return
        first, last = values[2], values[2] + values[3] - 1
        if self._fits(stream, first, last, is_live=False):
            self._writer.put("chunks", [values])
            self._add(stream, first, last)

    def _stream_of(self, head: BatchHeader) -> StreamRow:
        name = head.incarnation, head.stream
        if name not in self._by_name:
            self._writer.restore_stream(None, *name)
            made = stream_by_name(self._writer.into, *name)
            assert made is not None  # noqa: S101 - it was inserted just now
            self._by_name[name] = self._streams[made.id] = made
            self._present[made.id] = self._gone[made.id] = EMPTY
        return self._by_name[name]

    def _fits(self, stream: StreamRow, first: int, last: int, *, is_live: bool) -> bool:
        """Whether the stream lacks all of it. Of one whose row is lost nobody knows more than what is there."""
        whole = RangeSet(((first, last),))
        if self._present[stream.id] & whole or self._gone[stream.id] & whole:
            return False
        return is_live or not stream.head or stream.held.covers(first, last)

    def _add(self, stream: StreamRow, first: int, last: int) -> None:
        self._present[stream.id] |= RangeSet(((first, last),))
