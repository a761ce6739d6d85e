"""What the site says next: its claims and its receipts, under a number that was never used before."""

from __future__ import annotations

from collections.abc import Iterable

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.model import Manifest
from farshore_agent.buffer.receipts import open_receipts
from farshore_agent.buffer.streams import StreamRow, all_streams, stream_by_name
from farshore_protocol.limits import MAX_PARCEL_CLAIMS, MAX_PARCEL_RECEIPTS, MAX_RANGES, MAX_STATEMENT_RANGES
from farshore_protocol.messages import Claim


def make_manifest(
    database: Database, life: int, *, whole: bool, streams: Iterable[tuple[bytes, str]], batches: Iterable[int]
) -> Manifest:
    """Take the next statement number and say what is asked for, in one transaction.

    A manifest that is not whole names `streams`, and those that its receipts are about. `batches` go with it.
    """
    with database.transaction():
        for batch in batches:
            database.run("mark_sent", batch)
        number = int(database.the_row("take_number", life)[0])
        receipts = open_receipts(database, MAX_PARCEL_RECEIPTS)
        rows = (
            all_streams(database)
            if whole
            else _named(database, [*streams, *((r.incarnation, r.stream) for r in receipts)])
        )
        is_whole = whole and len(rows) <= MAX_PARCEL_CLAIMS
        rows = rows[:MAX_PARCEL_CLAIMS]
        claims, room = [], MAX_STATEMENT_RANGES - len(rows)
        for row in rows:
            claims.append(_claim(database, row, life, number, min(MAX_RANGES, 1 + room)))
            room -= max(0, len(claims[-1].held) // 2 - 1)
    return Manifest(number, claims, receipts, is_whole)


def _named(database: Database, streams: Iterable[tuple[bytes, str]]) -> list[StreamRow]:
    found = (stream_by_name(database, incarnation, name) for incarnation, name in dict.fromkeys(streams))
    return [row for row in found if row]


def _claim(database: Database, row: StreamRow, life: int, number: int, max_ranges: int) -> Claim:
    is_closed = row.life != life
    if is_closed and not row.closed and row.closing_number is None:
        database.run("mark_closing", row.id, number)
    held = row.held
    # More ranges than a link may carry: the last ones are claimed as one, with what the hub has between them, which it
    # takes out again. What neither has would show as pending until there are fewer ranges; never a gap that is none.
    ranges = held.within(max_ranges).to_wire()
    return Claim(row.incarnation, row.name, row.head, ranges, _oldest_us(database, row) if held else None, is_closed)


def _oldest_us(database: Database, row: StreamRow) -> int | None:
    sealed = database.row("oldest_pending", row.id)
    unsealed = database.row("oldest_in_tail", row.id)
    times = [found[0] for found in (sealed, unsealed) if found and found[0] is not None]
    return min(times, default=None)
