"""What is in the buffer, for people and metrics; also for a process that only looks at the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from farshore_agent.buffer.connection import BUSY_TIMEOUT_MS, Database, Malformed, translated
from farshore_agent.buffer.model import BufferStatus, StreamStatus
from farshore_agent.buffer.streams import StreamRow, open_streams
from farshore_agent.errors import BufferBroken

REPAIRS: Final = "repairs"
"""The note that lists damage that was found, a line each."""

SCRUB: Final = "scrub"
"""The note that says when everything was last read."""


def status_of(database: Database, max_bytes: int) -> BufferStatus:
    """Count everything, in one snapshot."""
    pending = {stream: totals for stream, *totals in database.rows("pending_totals")}
    receipted: dict[int, dict[str, int]] = {}
    for stream, reason, records in database.rows("receipt_totals"):
        receipted.setdefault(stream, {})[reason] = records
    newest = database.row("newest_life")
    retained = database.the_row("retained_totals")
    repairs = database.row("note", REPAIRS)
    return BufferStatus(
        incarnation=newest[1] if newest else b"",
        streams=[
            _stream(database, row, pending.get(row.id), receipted.get(row.id, {})) for row in open_streams(database)
        ],
        file_bytes=database.file_bytes(),
        used_bytes=database.used_bytes(),
        max_bytes=max_bytes,
        retained_batches=retained[0],
        retained_bytes=retained[1],
        open_receipts=database.the_row("count_open_receipts")[0],
        repairs=repairs[0].decode(errors="replace").splitlines() if repairs else [],
        scrubbed_us=last_scrub_us(database),
        set_aside=[_set_aside(*row) for row in database.rows("all_put_aside")],
    )


def last_scrub_us(database: Database) -> int | None:
    """When everything was last read; None if never."""
    found = database.row("note", SCRUB)
    try:
        return msgspec.msgpack.decode(found[0], type=int) if found else None
    except msgspec.MsgspecError:
        return None


def _set_aside(incarnation: bytes, stream: str, first: int, count: int, _at_us: int, why: str) -> str:
    return f"{stream} {first}…{first + count - 1} of {incarnation.hex()}: {why}"


def _stream(database: Database, row: StreamRow, pending: list[Any] | None, receipted: dict[str, int]) -> StreamStatus:
    batches, size, oldest_us, held_back = pending or (0, 0, None, 0)
    in_tail = database.the_row("oldest_in_tail", row.id)[0] if row.tail_records else None
    times = [at for at in (oldest_us, in_tail) if at is not None]
    return StreamStatus(
        incarnation=row.incarnation,
        name=row.name,
        priority=row.priority,
        head=row.head,
        pending=row.held.count,
        oldest_us=min(times, default=None),
        tail_records=row.tail_records,
        tail_bytes=row.tail_bytes,
        waiting_batches=batches,
        waiting_bytes=size,
        held_back=held_back,
        receipted=receipted,
    )


def read_status(path: Path, *, max_bytes: int) -> BufferStatus:
    """Look at a buffer that another process may own; changes nothing.

    Raises:
        BufferBroken: there is no buffer, or it cannot be read.
    """
    try:
        with translated():
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.execute("BEGIN")
        database = Database(connection)
        try:
            return status_of(database, max_bytes)
        finally:
            database.close()
    except (Malformed, apsw.SQLError) as error:
        raise BufferBroken(f"{path} cannot be read: {error}", remedy="start the agent: it repairs the file") from None
