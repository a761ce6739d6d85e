"""Making the rows of the file agree with each other, with receipts for what turns out to be missing.

Rows of streams and receipts have no checksum: what they say is held against what is really there.
"""

from __future__ import annotations

from typing import Final

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.outbox import correct_keys
from farshore_agent.buffer.receipts import GivenUp, declare_missing, give_up, present, receipted
from farshore_agent.buffer.streams import StreamRow, all_streams, pack_ranges
from farshore_protocol.messages import Reason
from farshore_protocol.ranges import upto

_ACKNOWLEDGED: Final = 2
_WAITING: Final = (0, 1)


def reconcile(database: Database, now_us: int, why: str) -> int:
    """Bring every stream's row, batches, keys, chunks and receipts into agreement, in one transaction.

    Returns:
        How many records are found to be lost; each has a receipt.
    """
    lost = 0
    with database.transaction():
        for row in all_streams(database):
            _correct(database, row, now_us)
        for (batch,) in database.rows("keyless_batches"):
            correct_keys(database, batch)
        for row in all_streams(database):
            lost += declare_missing(database, row, now_us, why)
            # What the hub has of the receipts stands in its account.
            unstated = (row.given_up & upto(row.head)) - row.acknowledged - receipted(database, row.id)
            give_up(database, row.id, unstated, GivenUp(Reason.DAMAGED, now_us, "its receipt was lost to damage"))
    return lost


def _correct(database: Database, row: StreamRow, now_us: int) -> None:
    if database.the_row("chunk_totals", row.id) != (row.tail_records, row.tail_bytes):
        database.run("recount_tail", row.id)
    given_up = row.given_up | receipted(database, row.id)
    # What is as it should be is not written again: a start must not need room on a full disk.
    if max(present(database, row.id).highest, given_up.highest) > row.head:
        database.run("raise_head", row.id)
    if given_up != row.given_up:
        database.run("set_given_up", row.id, pack_ranges(given_up))
    for batch, first, last, state, _ in database.rows("batches_over", row.id, 1, 2**62):
        # What the stream's row does not call acknowledged is sent again; the hub knows what it has.
        is_acknowledged = row.acknowledged.covers(first, last)
        if is_acknowledged and state != _ACKNOWLEDGED:
            database.run("acknowledge_batch", batch, now_us)
        elif not is_acknowledged and state not in _WAITING:
            database.run("return_batch", batch)
