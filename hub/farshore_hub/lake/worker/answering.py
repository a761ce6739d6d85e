"""The worker's side of a conversation: open the tables, take the rows that are not in them, answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from farshore_hub.errors import HubError, Malformed, OverLimit
from farshore_hub.lake import duck
from farshore_hub.lake.contents import Contents
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.rows import empty_table, joined
from farshore_hub.lake.tables import LakeTables, StreamTable
from farshore_hub.lake.worker import messages
from farshore_hub.lake.worker.channel import MAX_FRAME_BYTES, Channel, HungUp, Kind
from farshore_hub.lake.worker.confined import confine
from farshore_hub.lake.worker.messages import Question


def converse(channel: Channel) -> None:
    """Answer one question, or say why not.

    Raises:
        HungUp: the hub does not want it any more.
    """
    kind, raw = channel.receive()
    if kind is not Kind.QUESTION:
        raise Malformed(f"a question was expected, not {kind.name}")
    question = Question.from_bytes(raw)
    confine(question.process_bytes, question.threads)
    try:
        with duck.explained(question.sql, question.streams):
            _answer(channel, question)
    except HungUp:
        raise
    except HubError as error:
        channel.send(Kind.PROBLEM, messages.problem_to_bytes(error))
    except Exception:
        channel.send(
            Kind.PROBLEM, messages.problem_to_bytes(HubError("a query's process failed; the hub's log says more"))
        )
        raise


def _answer(channel: Channel, question: Question) -> None:
    tables = LakeTables(Path(question.lake), bytes.fromhex(question.hub))
    opened = {stream: tables.open(stream) for stream in question.named}
    channel.send(Kind.OPENED, messages.commits_to_bytes({name: _last(table) for name, table in opened.items()}))
    contents = _contents(channel, opened)
    with duck.connected(
        memory_bytes=question.memory_bytes, threads=question.threads, temporary=question.temporary
    ) as connection:
        answer = duck.ask(connection, question.sql, question.params, contents)
        batches = _whole(answer, question) if question.whole else answer
        _send(channel, answer.schema, batches)


def _last(table: StreamTable | None) -> int:
    return table.last_commit if table else 0


def _contents(channel: Channel, opened: Mapping[str, StreamTable | None]) -> dict[str, Contents]:
    """The rows come stream by stream, in the order in which they were named, and after each its columns."""
    contents = {}
    for stream, table in opened.items():
        fresh, names = _fresh(channel)
        contents[stream] = Contents(table.rows() if table else None, joined([*fresh, empty_table(names)]), names)
    return contents


def _fresh(channel: Channel) -> tuple[list[pa.Table], ColumnMap]:
    parts = []
    while True:
        kind, raw = channel.receive()
        if kind is Kind.ROWS:
            parts.append(messages.batch_from_buffer(raw))
        elif kind is Kind.COLUMNS:
            return parts, messages.columns_from_bytes(raw)
        else:
            raise Malformed(f"rows were expected, not {kind.name}")


def _whole(batches: Iterable[pa.RecordBatch], question: Question) -> list[pa.RecordBatch]:
    parts: list[pa.RecordBatch] = []
    room_bytes, room_rows = question.max_result_bytes, question.max_result_rows
    for batch in batches:
        room_bytes, room_rows = room_bytes - batch.nbytes, room_rows - batch.num_rows
        if room_bytes < 0 or room_rows < 0:
            raise OverLimit(
                f"the answer is larger than {question.max_result_rows} rows or {question.max_result_bytes} bytes",
                remedy="aggregate, add a LIMIT, or use the export",
            )
        parts.append(batch)
    return parts


def _send(channel: Channel, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """The first piece has no rows: it says the columns, and that the answer is there."""
    channel.send(Kind.BATCH, messages.batch_to_buffer(pa.RecordBatch.from_pylist([], schema)))
    for piece in messages.in_pieces(batches):
        raw = messages.batch_to_buffer(piece)
        if len(raw) > MAX_FRAME_BYTES:
            raise OverLimit(f"a row of the answer has over {MAX_FRAME_BYTES} bytes", remedy="ask for parts of it")
        channel.send(Kind.BATCH, raw)
    channel.send(Kind.DONE, b"")
