"""Receipts: whatever is given up is written down in the transaction that gives it up.

All functions run inside a transaction of their caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.hours import Parts, pack, unpack, within
from farshore_agent.buffer.streams import StreamRow, pack_ranges, stream_by_id
from farshore_protocol.hours import Hours, added, to_wire
from farshore_protocol.limits import MAX_HOURS
from farshore_protocol.messages import Reason, Receipt
from farshore_protocol.ranges import RangeSet, upto

_STATED: Final = 1
_DONE: Final = 2


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why some records go.

    Attributes:
        reason: for machines.
        detail: for people; may be empty.
        at_us: when.
        summary: the records that stand for them: stream, first, last.
        hours: how many of them belong to which hour, by range; of ranges that are not named nobody knows.
    """

    reason: Reason
    at_us: int
    detail: str = ""
    summary: tuple[str, int, int] | None = None
    hours: Parts = field(default_factory=dict)


def give_up(database: Database, stream: int, ranges: RangeSet, why: GivenUp) -> int:
    """Write receipts for `ranges` of a stream; how many ranges it were."""
    if not ranges:
        return 0
    for first, last in ranges:
        _write(database, stream, first, last, why)
    given_up = stream_by_id(database, stream).given_up | ranges
    database.run("set_given_up", stream, pack_ranges(given_up))
    return len(ranges.ranges)


def _write(database: Database, stream: int, first: int, last: int, why: GivenUp) -> None:
    hours = within(why.hours, first, last)
    if why.summary is None:
        before = database.row("receipt_ending_at", stream, first - 1, why.reason.value, why.detail)
        if before:
            database.run("extend_receipt", before[0], last, why.at_us)
            _set_hours(database, before[0], added([_hours_of(database, before[0]), hours]))
            return
    summary = why.summary or (None, None, None)
    receipt = database.insert("add_receipt", stream, first, last, why.reason.value, why.at_us, why.detail, *summary)
    _set_hours(database, receipt, hours)


def _set_hours(database: Database, receipt: int, hours: Hours) -> None:
    if 0 < len(hours) <= MAX_HOURS:
        database.run("set_receipt_hours", receipt, pack(hours))
    else:
        database.run("drop_receipt_hours", receipt)


def _hours_of(database: Database, receipt: int) -> dict[int, int]:
    row = database.row("receipt_hours", receipt)
    return unpack(row[0]) if row else {}


def present(database: Database, stream: int) -> RangeSet:
    """What the rows of a stream really hold, sealed or not, acknowledged or not."""
    return RangeSet.of(*database.rows("batch_ranges_of", stream), *database.rows("chunk_ranges", stream))


def receipted(database: Database, stream: int) -> RangeSet:
    """What the receipts that are kept of a stream cover."""
    return RangeSet.of(*((first, last) for _, first, last, _ in database.rows("receipts_of", stream)))


def declare_missing(database: Database, row: StreamRow, at_us: int, detail: str) -> int:
    """Write DAMAGED receipts for what should be here and is not; how many records it are."""
    missing = row.held - present(database, row.id)
    give_up(database, row.id, missing, GivenUp(Reason.DAMAGED, at_us, detail))
    return missing.count


def lost_part(database: Database, row: StreamRow, lost: RangeSet) -> RangeSet:
    """Of what the hub no longer has: what the buffer cannot send again and has no receipt for."""
    return (lost & upto(row.head)) - receipted(database, row.id) - present(database, row.id)


def open_receipts(database: Database, limit: int) -> list[Receipt]:
    """The receipts that the hub does not have, oldest first. They are final from now on."""
    rows = database.rows("open_receipts", limit)
    for row in rows:
        database.run("state_receipt", row[0])
    return [_receipt(row, _hours_of(database, row[0])) for row in rows]


def settle_receipts(database: Database, stream: int, at_hub: RangeSet, archived: int, now_us: int) -> None:
    """Finish the receipts that the hub was told and has, and reopen those that it had and has no longer."""
    for receipt, first, last, state in database.rows("receipts_of", stream):
        is_there = at_hub.covers(first, last)
        if is_there and state == _STATED:
            database.run("finish_receipt", receipt, now_us)
        elif not is_there and state == _DONE:
            database.run("reopen_receipt", receipt)
    database.run("drop_archived_receipts", stream, archived)


def _receipt(row: tuple[Any, ...], hours: Hours) -> Receipt:
    _, _, incarnation, name, first, last, reason, at_us, detail, *summary = row
    stands_for = (summary[0], summary[1], summary[2]) if summary[0] else None
    return Receipt(incarnation, name, first, last, Reason(reason), at_us, detail, stands_for, to_wire(hours))
