"""Sending once more what the hub has, as far as it is still kept here.

It waits then until an answer names it: an account that has its sequences is no answer to a batch.
"""

from __future__ import annotations

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.streams import all_streams, pack_ranges
from farshore_protocol.ranges import RangeSet

_ACKNOWLEDGED = 2


def resend(database: Database, stream: str | None, first: int, last: int) -> tuple[int, int]:
    """Put the batches of a stream, or of all, that touch a range back into the outbox, whatever life they are of.

    Returns:
        How many batches, and how many records are in them. What was not acknowledged waits to be sent anyway.
    """
    batches = records = 0
    with database.transaction():
        for row in all_streams(database):
            if stream is not None and row.name != stream:
                continue
            found = database.rows("batches_over", row.id, first, last)
            again = [each for each in found if each[1] <= last and each[3] == _ACKNOWLEDGED]
            taken = RangeSet.of(*((begin, end) for _, begin, end, _, _ in again))
            database.run("set_account", row.id, pack_ranges(row.acknowledged - taken), row.archived)
            for batch, *_ in again:
                database.run("return_batch", batch)
            batches += len(again)
            records += sum(end - begin + 1 for _, begin, end, _, _ in again)
    return batches, records
