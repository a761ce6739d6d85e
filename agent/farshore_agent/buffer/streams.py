"""The rows of streams and lives: what was given out, what the hub has, what was given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from farshore_agent.buffer.connection import Database, Malformed
from farshore_agent.settings import StreamPolicies
from farshore_protocol.names import check_any_stream
from farshore_protocol.ranges import EMPTY, RangeSet, upto

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[int])


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream in one life.

    Attributes:
        head: the last sequence given out.
        acknowledged: what the hub has, as its newest answer says.
        archived: up to here, every backup of the hub has it.
        given_up: what a receipt was written for.
        closing_number: the statement of this life that first said that the stream is closed.
        closed: the hub knows that it is.
    """

    id: int
    life: int
    incarnation: bytes
    name: str
    priority: int
    head: int
    acknowledged: RangeSet
    archived: int
    given_up: RangeSet
    tail_records: int
    tail_bytes: int
    closing_number: int | None
    closed: bool
    newest_first: bool

    @property
    def held(self) -> RangeSet:
        """What is in the buffer and not at the hub."""
        return upto(self.head) - self.acknowledged - self.given_up


def pack_ranges(ranges: RangeSet) -> bytes:
    """A range set as a column of the file."""
    return _ENCODER.encode(ranges.to_wire())


def unpack_ranges(raw: bytes) -> RangeSet:
    """A range set from a column of the file. It may have more ranges than a link may carry.

    Raises:
        Malformed: it is none.
    """
    try:
        flat = _DECODER.decode(raw)
        return RangeSet(tuple(zip(flat[::2], flat[1::2], strict=True)))
    except (msgspec.MsgspecError, ValueError) as error:
        raise Malformed(f"a stream's ranges cannot be read: {error}") from error


def all_streams(database: Database) -> list[StreamRow]:
    """Every stream of every life, oldest life first."""
    return [_row(values) for values in database.rows("all_streams")]


def open_streams(database: Database) -> list[StreamRow]:
    """The same without those that are finished: of earlier lives, with the hub, and only their row is left here."""
    finished = {stream for (stream,) in database.rows("finished_streams")}
    return [row for row in all_streams(database) if row.id not in finished]


def stream_by_id(database: Database, stream: int) -> StreamRow:
    """One stream."""
    return _row(database.the_row("stream_by_id", stream))


def stream_by_name(database: Database, incarnation: bytes, name: str) -> StreamRow | None:
    """One stream of one life, if it is known here."""
    values = database.row("stream_by_name", incarnation, name)
    return _row(values) if values else None


def head_of(database: Database, life: int, name: str, policies: StreamPolicies) -> tuple[int, int]:
    """Id and head of a stream in the current life; the stream is made if need be. Inside a transaction."""
    found = database.row("stream_head", life, name)
    if found:
        return int(found[0]), int(found[1])
    check_any_stream(name)
    policy = policies.of(name)
    return database.insert("add_stream", life, name, policy.priority, policy.newest_first, pack_ranges(EMPTY)), 0


def begin_life(database: Database, incarnation: bytes, now_us: int) -> int:
    """Start giving out sequences under a fresh incarnation; the life's id. Inside a transaction.

    What the life before has said about closed streams is said again: its answer may never have arrived.
    """
    database.run("reset_closing")
    return database.insert("add_life", incarnation, now_us)


def apply_priorities(database: Database, policies: StreamPolicies) -> None:
    """Let what is stored follow the settings, which may have changed since it was. Inside a transaction."""
    for row in all_streams(database):
        policy = policies.of(row.name)
        if (row.priority, row.newest_first) != (policy.priority, policy.newest_first):
            database.run("set_priority", row.id, policy.priority, policy.newest_first)
            database.run("set_batch_priority", row.id, policy.priority, -1 if policy.newest_first else 1)


def _row(values: tuple[Any, ...]) -> StreamRow:
    stream, life, incarnation, name, priority, head = values[:6]
    acknowledged, archived, given_up, records, size, closing, closed, newest_first = values[6:]
    has, gone = unpack_ranges(acknowledged), unpack_ranges(given_up)
    place = (stream, life, incarnation, name, priority, head)
    return StreamRow(*place, has, archived, gone, records, size, closing, bool(closed), bool(newest_first))
