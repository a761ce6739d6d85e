"""Chunks that can be read and cannot be sealed: put aside with a receipt, so that their stream goes on.

They are kept for whoever wants to look, as far as there is room for them; the receipt does not depend on that.
"""

from __future__ import annotations

import logging
from typing import Final

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.hours import of_chunk
from farshore_agent.buffer.receipts import GivenUp, give_up
from farshore_agent.buffer.streams import StreamRow
from farshore_agent.buffer.tail import Chunk, drop_chunks
from farshore_protocol.limits import MAX_TEXT_CHARS
from farshore_protocol.messages import Reason
from farshore_protocol.ranges import RangeSet

MAX_KEPT: Final = 64
"""Chunks; older ones make room."""

_log = logging.getLogger(__name__)


def put_aside(database: Database, row: StreamRow, chunk: Chunk, error: Exception, now_us: int) -> None:
    """Take a chunk out of the tail for good, in one transaction: its records have a receipt, its bytes are kept."""
    why = f"it could not be sealed: {type(error).__name__}: {error}"[:MAX_TEXT_CHARS]
    _log.error("buffer: %s %d…%d was put aside: %s", row.name, chunk.first, chunk.last, why)
    with database.transaction():
        *_, body = database.the_row("one_chunk", chunk.id)
        database.run("put_aside", row.incarnation, row.name, chunk.first, chunk.count, now_us, why, body)
        database.run("drop_put_aside", MAX_KEPT)
        hours = {(chunk.first, chunk.last): of_chunk(database, chunk.id)}
        drop_chunks(database, row.id, [chunk])
        ranges = RangeSet(((chunk.first, chunk.last),))
        give_up(database, row.id, ranges, GivenUp(Reason.QUARANTINED, now_us, why, hours=hours))
