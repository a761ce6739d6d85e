"""Reading what can be read of a damaged file into a new one.

Rows are read from both ends of each table and past what cannot be read. A batch is kept if its digest matches, a chunk
if its checksum does; a stream whose row is lost is found again in the headers of its batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from farshore_agent.buffer.chunk import checksum
from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.receipts import declare_missing
from farshore_agent.buffer.streams import StreamRow, all_streams, pack_ranges
from farshore_protocol.batch import BatchHeader, digest_of, parse_batch
from farshore_protocol.errors import ProtocolError
from farshore_protocol.ranges import EMPTY

MAX_SKIP: Final = 2**40
ROWS_PER_TRANSACTION: Final = 200
_WHY: Final = "the buffer's file was damaged"

Row = tuple[Any, ...]


def salvage(damaged: Path, into: Database, now_us: int) -> int:
    """Copy what can be read; how many records are known to be lost, each with a receipt."""
    try:
        source = apsw.Connection(str(damaged), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error:
        return 0
    try:
        _copy(into, "lives", _rows(source, "lives", "id"))
        _copy(into, "streams", (row for row in _rows(source, "streams", "id") if _is_stream(row)))
        _copy_batches(source, into)
        _copy_chunks(source, into)
        known = {row.id for row in all_streams(into)}
        _copy(into, "receipts", (row for row in _rows(source, "receipts", "id") if row[1] in known))
        for table, key in (("epochs", "epoch"), ("dictionaries", "rowid"), ("checkpoints", "key"), ("notes", "key")):
            _copy(into, table, _rows(source, table, key))
    finally:
        source.close()
    return _account(into, now_us)


def _rows(source: apsw.Connection, table: str, key: str) -> Iterator[Row]:
    """Every row that can be read, each once."""
    if key not in ("id", "batch"):
        yield from _readable(source, f"SELECT * FROM {table}")  # noqa: S608 - names of our own tables
        return
    highest = -1
    start, skip = 0, 1
    while skip < MAX_SKIP:
        for row in _readable(source, f"SELECT * FROM {table} WHERE {key} >= {start} ORDER BY {key}"):  # noqa: S608
            if row[0] <= highest:
                # A damaged tree gives rows in any order: only what grows comes to an end.
                break
            highest, skip = row[0], 1
            yield row
        start, skip = highest + skip, skip * 2
    yield from _readable(source, f"SELECT * FROM {table} WHERE {key} > {highest} ORDER BY {key} DESC")  # noqa: S608


def _readable(source: apsw.Connection, sql: str) -> Iterator[Row]:
    try:
        yield from source.execute(sql)
    except apsw.Error:
        return


def _copy(into: Database, table: str, rows: Iterable[Row]) -> None:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_PER_TRANSACTION:
            _insert(into, table, batch)
            batch = []
    _insert(into, table, batch)


def _insert(into: Database, table: str, rows: list[Row]) -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        with into.transaction():
            # Damage can make the same key come twice, or a value of the wrong type: the row is lost, not the file.
            for row in rows:
                _insert_one(into, f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608


def _insert_one(into: Database, sql: str, row: Row) -> None:
    try:
        into.connection.execute(sql, row)
    except (apsw.ConstraintError, apsw.MismatchError):
        return


def _is_stream(row: Row) -> bool:
    """Whether the range sets of a stream's row can be read."""
    try:
        return all(len(msgspec.msgpack.decode(blob, type=list[int])) % 2 == 0 for blob in (row[5], row[7]))
    except (msgspec.MsgspecError, TypeError):
        return False


def _copy_batches(source: apsw.Connection, into: Database) -> None:
    known = {row.id: row for row in all_streams(into)}
    for batch in _rows(source, "batches", "id"):
        body = next(_readable(source, f"SELECT * FROM bodies WHERE batch = {int(batch[0])}"), None)  # noqa: S608
        if body is None or digest_of(body[1]) != batch[5]:
            continue
        try:
            header = parse_batch(body[1]).header
        except ProtocolError:
            continue
        if (header.first, header.last) != batch[2:4]:
            continue
        if batch[1] not in known:
            _restore_stream(into, batch[1], header)
            known = {row.id: row for row in all_streams(into)}
        if batch[1] in known and known[batch[1]].name == header.stream:
            _copy(into, "batches", [batch])
            _copy(into, "bodies", [body])


def _restore_stream(into: Database, stream: int, header: BatchHeader) -> None:
    """Make a stream's row anew from a batch; its head grows with the batches that follow."""
    with into.transaction():
        life = into.row("life_of", header.incarnation)
        life_id = life[0] if life else into.insert("add_life", header.incarnation, 0)
        empty = pack_ranges(EMPTY)
        row = (stream, life_id, header.stream, 0, header.last, empty, 0, empty, 0, 0, None, 0)
        columns = (
            "id, life, name, priority, head, acknowledged, archived, given_up, "
            "tail_records, tail_bytes, closing_number, closed"
        )
        marks = ", ".join("?" * len(row))
        _insert_one(into, f"INSERT OR IGNORE INTO streams ({columns}) VALUES ({marks})", row)  # noqa: S608


def _copy_chunks(source: apsw.Connection, into: Database) -> None:
    known = {row.id: row for row in all_streams(into)}
    chunks = (row for row in _rows(source, "chunks", "id") if row[1] in known and _is_chunk(known[row[1]], row))
    _copy(into, "chunks", chunks)


def _is_chunk(stream: StreamRow, row: Row) -> bool:
    _, _, first, count, _, _, expected, *_, body = row
    if not isinstance(body, bytes):
        return False
    identity = checksum(body, incarnation=stream.incarnation, stream=stream.name, first=first, count=count)
    return bool(identity == expected)


def _account(into: Database, now_us: int) -> int:
    """Write receipts for what is missing, and count the tails anew; how many records are lost."""
    lost = 0
    with into.transaction():
        for row in all_streams(into):
            into.run("recount_tail", row.id)
            into.run("raise_head", row.id)
        for row in all_streams(into):
            lost += declare_missing(into, row, now_us, _WHY)
    return lost
