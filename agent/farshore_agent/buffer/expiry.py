"""What goes by its age: acknowledged batches, records that are too old to be wanted, and rows that have served.

Each public function is one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.outbox import drop_batch
from farshore_agent.buffer.receipts import GivenUp, give_up
from farshore_agent.buffer.room import Candidate
from farshore_agent.buffer.shed import CLOCK_WAS_SET_US, drop_parts, hours_of_parts, oldest_parts
from farshore_agent.buffer.streams import StreamRow, all_streams
from farshore_agent.settings import StreamPolicies
from farshore_protocol.messages import Reason
from farshore_protocol.ranges import RangeSet

MAX_RETIRED_BATCHES: Final = 1_000

MAX_FINISHED_STREAMS: Final = 1_024
"""Rows that are kept of what is finished, so that a hub which was restored from an old backup can be told of it and the
ledger names what is lost. Each start of the agent makes one for each of its streams."""


def retire(database: Database, before_us: int) -> int:
    """Drop batches that were acknowledged before a time, a bounded number of them; how many."""
    with database.transaction():
        rows = database.rows("retained_before", before_us, MAX_RETIRED_BATCHES)
        for batch, _ in rows:
            drop_batch(database, batch)
        return len(rows)


def expire(database: Database, policies: StreamPolicies, now_us: int) -> int:
    """Give up, with receipts, what is older than its stream's greatest age; how many batches and chunks."""
    gone = 0
    with database.transaction():
        for row in all_streams(database):
            before_us = now_us - policies.of(row.name).max_age_us
            parts = [part for part in _oldest(database, row, policies) if CLOCK_WAS_SET_US <= part.since_us < before_us]
            if parts:
                _give_up(database, row, parts, now_us)
            gone += len(parts)
    return gone


def _oldest(database: Database, row: StreamRow, policies: StreamPolicies) -> Iterable[Candidate]:
    return oldest_parts(database, row, policies) if row.held else ()


def _give_up(database: Database, row: StreamRow, parts: list[Candidate], now_us: int) -> None:
    hours = hours_of_parts(database, parts)
    drop_parts(database, row, parts)
    ranges = RangeSet.of(*((part.first, part.last) for part in parts))
    give_up(database, row.id, ranges, GivenUp(Reason.EXPIRED, now_us, "older than the stream's max_age", hours=hours))


def tidy(database: Database, *, receipts_before_us: int, epoch: bytes, dictionaries: Iterable[bytes]) -> None:
    """Remove rows that have served: old receipts, what was finished long ago, keys of nothing."""
    with database.transaction():
        database.run("release_held_back")
        database.run("drop_old_receipts", receipts_before_us)
        database.run("drop_finished_streams", MAX_FINISHED_STREAMS)
        database.run("drop_empty_lives")
        database.run("drop_unused_dictionaries", b"".join(dictionaries))
        database.run("drop_unused_epochs", epoch)
        database.run("drop_unused_epoch_copies")
