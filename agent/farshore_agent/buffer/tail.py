"""The tail: what was appended and is not sealed yet. Each public function that writes is one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from farshore_agent.buffer.chunk import Damaged, EncodedChunk, checksum, decode_chunk, encode_chunks
from farshore_agent.buffer.connection import PAGE_BYTES, Database, translated
from farshore_agent.buffer.group import StreamGroup
from farshore_agent.buffer.hours import Runs, count, cut, keep
from farshore_agent.buffer.queries import QUERIES
from farshore_agent.buffer.receipts import declare_missing
from farshore_agent.buffer.seal_policy import Tail
from farshore_agent.buffer.streams import StreamRow, head_of, stream_by_id
from farshore_agent.settings import StreamPolicies
from farshore_protocol.columns import Columns

_ROW_BYTES = 256
"""What a row, its index entries and the stream's row take besides the body, roughly."""


@dataclass(frozen=True, slots=True)
class Addition:
    """Encoded records that a commit adds to one stream; the event times bound all of them, `hours` tells each."""

    stream: str
    chunks: list[EncodedChunk]
    oldest_us: int
    newest_us: int
    hours: Runs

    @property
    def cost_bytes(self) -> int:
        """What the file needs for it, rather too much than too little."""
        return sum(cost_of(len(chunk.body)) for chunk in self.chunks)

    def add(self, database: Database, stream: int, head: int, incarnation: bytes, now_us: int) -> int:
        """Store it; the new head. Inside the transaction of the commit."""
        records = size = 0
        spread = cut(self.hours, (chunk.count for chunk in self.chunks))
        for chunk, hours in zip(self.chunks, spread, strict=True):
            first = head + records + 1
            identity = checksum(chunk.body, incarnation=incarnation, stream=self.stream, first=first, count=chunk.count)
            row = database.insert(
                "add_chunk",
                stream,
                first,
                chunk.count,
                len(chunk.body),
                chunk.plain_size,
                identity,
                self.oldest_us,
                self.newest_us,
                now_us,
                chunk.body,
            )
            keep(database, "add_chunk_hours", row, hours, self.oldest_us, self.newest_us)
            count(database, stream, hours)
            records += chunk.count
            size += len(chunk.body)
        database.run("advance_stream", stream, head + records, records, size)
        return head + records


class Joining(Protocol):
    """What a commit adds to one stream, in the tail or sealed already."""

    @property
    def stream(self) -> str:
        """Its name."""
        ...

    @property
    def cost_bytes(self) -> int:
        """What the file needs for it, rather too much than too little."""
        ...

    def add(self, database: Database, stream: int, head: int, incarnation: bytes, now_us: int) -> int:
        """Store it; the new head. Inside the transaction of the commit."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as its row says, without its records."""

    id: int
    first: int
    count: int
    size: int
    plain_size: int
    checksum: int
    oldest_us: int
    newest_us: int
    appended_us: int

    @property
    def last(self) -> int:
        """The last record's sequence."""
        return self.first + self.count - 1


def encode_group(group: StreamGroup, *, max_records: int) -> Addition:
    """Encode what a commit adds to a stream.

    Raises:
        Unencodable: a record holds what no record may hold.
    """
    chunks = list(encode_chunks(group.records, max_records=max_records))
    return Addition(group.stream, chunks, group.oldest_us, group.newest_us, group.hours)


def append(
    database: Database,
    life: tuple[int, bytes],
    additions: Iterable[Joining],
    checkpoints: dict[str, bytes],
    policies: StreamPolicies,
    now_us: int,
) -> dict[str, int]:
    """Store the additions and checkpoints durably, in one transaction; the head of each stream before it."""
    heads = {}
    with database.transaction():
        for addition in additions:
            stream, head = head_of(database, life[0], addition.stream, policies)
            heads[addition.stream] = head
            addition.add(database, stream, head, life[1], now_us)
        for key, value in checkpoints.items():
            database.run("set_checkpoint", key, value)
    return heads


def add_inside(
    database: Database, life: tuple[int, bytes], addition: Addition, policies: StreamPolicies, now_us: int
) -> tuple[int, int]:
    """Append as part of a larger transaction; the first and the last sequence."""
    stream, head = head_of(database, life[0], addition.stream, policies)
    return head + 1, addition.add(database, stream, head, life[1], now_us)


def tails(database: Database, life: int) -> list[Tail]:
    """Every tail that holds something. Those of earlier lives are closed."""
    return [
        Tail(stream, name, records, size, since_us or 0, priority, closed=of_life != life)
        for stream, name, records, size, since_us, priority, of_life in database.rows("tails")
    ]


def read_tail(database: Database, row: StreamRow) -> Iterator[tuple[Chunk, Columns]]:
    """The chunks of a stream from the first one on, checked, as long as they are consecutive.

    Raises:
        Damaged: the next chunk cannot be read; see `drop_damaged`.
    """
    with translated():
        cursor = database.connection.execute(QUERIES["tail_chunks"], (row.id,))
        expected = None
        for *values, body in cursor:
            chunk = Chunk(*values)
            if expected not in (None, chunk.first):
                return
            yield chunk, checked(row, chunk, body)
            expected = chunk.last + 1


def checked(row: StreamRow, chunk: Chunk, body: bytes) -> Columns:
    """The records of a chunk, if they are what was once stored.

    Raises:
        Damaged: they are not.
    """
    identity = checksum(body, incarnation=row.incarnation, stream=row.name, first=chunk.first, count=chunk.count)
    if identity != chunk.checksum:
        raise Damaged("the checksum of a chunk does not match")
    return decode_chunk(body, chunk.count)


def drop_damaged(database: Database, stream: int, now_us: int) -> int:
    """Drop the chunks of a stream that cannot be read, with receipts; how many records are lost."""
    row = stream_by_id(database, stream)
    with database.transaction():
        for *values, body in database.rows("tail_chunks", stream):
            chunk = Chunk(*values)
            try:
                checked(row, chunk, body)
            except Damaged:
                database.run("drop_chunk", chunk.id)
        database.run("recount_tail", stream)
        return declare_missing(database, row, now_us, "a chunk of the tail did not pass its check")


def drop_chunks(database: Database, stream: int, chunks: Iterable[Chunk]) -> None:
    """Take chunks out of the tail. Inside a transaction of whoever keeps or gives up their records."""
    records = size = 0
    for chunk in chunks:
        database.run("drop_chunk", chunk.id)
        records += chunk.count
        size += chunk.size
    database.run("shorten_tail", stream, records, size)


def cost_of(size: int) -> int:
    """What the file needs for a row with a body of that size, about."""
    pages = size // (PAGE_BYTES - 4) + 2 if size > PAGE_BYTES // 8 else 0
    return pages * PAGE_BYTES + _ROW_BYTES + (0 if pages else 2 * size)
