"""What the site says next: its claims and its receipts, under a number that was never used before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.hours import of_batch
from farshore_agent.buffer.model import Manifest
from farshore_agent.buffer.receipts import open_receipts
from farshore_agent.buffer.streams import StreamRow, open_streams, stream_by_name
from farshore_protocol.hours import to_wire
from farshore_protocol.limits import (
    MAX_HOURS,
    MAX_PARCEL_CLAIMS,
    MAX_PARCEL_RECEIPTS,
    MAX_RANGES,
    MAX_STATEMENT_HOURS,
    MAX_STATEMENT_RANGES,
)
from farshore_protocol.messages import Claim, Receipt

Said = list[tuple[int, int, int]]
"""Stream, hour and count of what a statement tells by the hour."""


@dataclass(slots=True)
class _Room:
    """What a statement has room for yet, beside a claim's first range."""

    ranges: int
    hours: int = MAX_STATEMENT_HOURS
    said: Said = field(default_factory=list)


def make_manifest(
    database: Database, life: int, *, whole: bool, streams: Iterable[tuple[bytes, str]], batches: Iterable[int]
) -> tuple[Manifest, Said]:
    """Take the next statement number and say what is asked for, in one transaction; and what it tells by the hour.

    A whole one leaves out what is finished; the hub has said that it knows of it. A manifest that is not whole names
    `streams`, and those that its receipts are about. `batches` go with it.
    """
    with database.transaction():
        sealed = _hours_of(database, batches)
        number = int(database.the_row("take_number", life)[0])
        receipts = open_receipts(database, MAX_PARCEL_RECEIPTS)
        rows = (
            open_streams(database)
            if whole
            else _named(database, [*streams, *((r.incarnation, r.stream) for r in receipts)])
        )
        is_whole = whole and len(rows) <= MAX_PARCEL_CLAIMS
        rows = rows[:MAX_PARCEL_CLAIMS]
        room = _Room(MAX_STATEMENT_RANGES - len(rows))
        receipts = [_within(room, receipt) for receipt in receipts]
        claims = [_claim(database, row, (life, number), sealed[row.id], room) for row in rows]
    return Manifest(number, claims, receipts, is_whole), room.said


def _hours_of(database: Database, batches: Iterable[int]) -> dict[int, list[tuple[int, list[int]]]]:
    """By stream the first sequence and the hours of the batches, which go with this statement."""
    found: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
    for batch in batches:
        place = database.row("batch_place", batch)
        hours = of_batch(database, batch)
        if place and hours:
            found[place[0]].append((place[1], to_wire(hours)))
    return found


def _within(room: _Room, receipt: Receipt) -> Receipt:
    """The receipt, without its hours where there is no room for them."""
    room.hours -= len(receipt.hours) // 2
    if room.hours >= 0:
        return receipt
    room.hours += len(receipt.hours) // 2
    return Receipt(*(getattr(receipt, name) for name in receipt.__struct_fields__[:-1]))


def _named(database: Database, streams: Iterable[tuple[bytes, str]]) -> list[StreamRow]:
    found = (stream_by_name(database, incarnation, name) for incarnation, name in dict.fromkeys(streams))
    return [row for row in found if row]


def _claim(
    database: Database,
    row: StreamRow,
    stated: tuple[int, int],
    sealed: Sequence[tuple[int, list[int]]],
    room: _Room,
) -> Claim:
    life, number = stated
    is_closed = row.life != life
    if is_closed and not row.closed and row.closing_number is None:
        database.run("mark_closing", row.id, number)
    held = row.held
    # More ranges than a link may carry: the last ones are claimed as one, with what the hub has between them, which it
    # takes out again. What neither has would show as pending until there are fewer ranges; never a gap that is none.
    ranges = held.within(min(MAX_RANGES, 1 + room.ranges)).to_wire()
    room.ranges -= max(0, len(ranges) // 2 - 1)
    oldest_us = _oldest_us(database, row) if held else None
    brought = [each for each in sealed if _takes(room, len(each[1]) // 2)]
    hours = _hours(database, row.id, room)
    return Claim(row.incarnation, row.name, row.head, ranges, oldest_us, is_closed, hours, brought)


def _takes(room: _Room, hours: int) -> bool:
    fits = hours <= room.hours
    room.hours -= hours if fits else 0
    return fits


def _hours(database: Database, stream: int, room: _Room) -> list[int]:
    """What the hub was not told of, as far as there is room; the rest goes with a later statement."""
    rows = database.rows("untold_hours", stream, min(MAX_HOURS, room.hours))
    room.hours -= len(rows)
    room.said += [(stream, hour, count) for hour, count in rows]
    return [number for row in rows for number in row]


def _oldest_us(database: Database, row: StreamRow) -> int | None:
    sealed = database.row("oldest_pending", row.id)
    unsealed = database.row("oldest_in_tail", row.id)
    times = [found[0] for found in (sealed, unsealed) if found and found[0] is not None]
    return min(times, default=None)
