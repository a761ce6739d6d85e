"""The worker's side of a conversation: open the tables, take the rows that are not in them, answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa

from farshore_hub.errors import HubError, Malformed, OverLimit
from farshore_hub.lake import duck
from farshore_hub.lake.contents import Contents
from farshore_hub.lake.duck import Answer
from farshore_hub.lake.files.lake_files import LakeFiles
from farshore_hub.lake.files.location import Location
from farshore_hub.lake.formats import Format, written
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.portions import Ask, Rows, in_order
from farshore_hub.lake.tables import LakeTables, StreamTable
from farshore_hub.lake.worker import messages
from farshore_hub.lake.worker.channel import MAX_FRAME_BYTES, Channel, HungUp, Kind
from farshore_hub.lake.worker.confined import confine
from farshore_hub.lake.worker.fresh_files import FreshFiles
from farshore_hub.lake.worker.messages import PIECE_BYTES, Question


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
    tables = LakeTables(Location(question.lake, question.lake_options), bytes.fromhex(question.hub))
    opened = {stream: tables.open(stream) for stream in question.named}
    channel.send(Kind.OPENED, messages.commits_to_bytes({name: _last(table) for name, table in opened.items()}))
    contents, spill_bytes = _contents(channel, opened, tables.files, question)
    with duck.connected(
        contents,
        tables.files,
        memory_bytes=question.memory_bytes,
        threads=question.threads,
        spill=question.spill,
        spill_bytes=spill_bytes,
    ) as connection:
        ask = partial(duck.ask, connection)
        if question.form:
            _send_file(channel, ask, question)
        else:
            _send_table(channel, ask(question.sql, question.params), question)
    channel.send(Kind.DONE, b"")


def _last(table: StreamTable | None) -> int:
    return table.last_commit if table else 0


def _contents(
    channel: Channel, opened: Mapping[str, StreamTable | None], lake: LakeFiles, question: Question
) -> tuple[dict[str, Contents], int]:
    """The rows come stream by stream, in the order in which they were named, and after each its columns.

    Returns:
        What each stream holds, and how much room is left on the disk.
    """
    contents, room_bytes = {}, question.spill_bytes
    for number, (stream, table) in enumerate(opened.items()):
        fresh = FreshFiles(Path(question.spill), f"fresh-{number}", room_bytes)
        names = _take(channel, fresh)
        files = [*map(str, fresh.finish(names)), *duck.names_of(lake, table.paths() if table else [])]
        contents[stream], room_bytes = Contents(files, names), fresh.room_bytes
    return contents, room_bytes


def _take(channel: Channel, fresh: FreshFiles) -> ColumnMap:
    while True:
        kind, raw = channel.receive()
        if kind is Kind.ROWS:
            fresh.add(messages.batch_from_buffer(raw))
        elif kind is Kind.COLUMNS:
            return messages.columns_from_bytes(raw)
        else:
            raise Malformed(f"rows were expected, not {kind.name}")


def _send_file(channel: Channel, ask: Ask, question: Question) -> None:
    rows = Rows(question.sql, question.params)
    schema = ask(f"SELECT * FROM ({rows.sql}) LIMIT 0", rows.params).schema  # noqa: S608  of our own texts
    batches = in_order(ask, rows, question.portion_rows)
    for piece in written(Format(question.form), schema, batches):
        for start in range(0, len(piece), PIECE_BYTES):
            channel.send(Kind.PIECE, memoryview(piece)[start : start + PIECE_BYTES])


def _send_table(channel: Channel, answer: Answer, question: Question) -> None:
    """The first piece has no rows: it says the columns, and that the answer is there."""
    batches = _whole(answer.batches, question)
    channel.send(Kind.PIECE, messages.batch_to_buffer(pa.RecordBatch.from_pylist([], answer.schema)))
    for piece in messages.in_pieces(batches):
        raw = messages.batch_to_buffer(piece)
        if len(raw) > MAX_FRAME_BYTES:
            raise OverLimit(f"a row of the answer has over {MAX_FRAME_BYTES} bytes", remedy="ask for parts of it")
        channel.send(Kind.PIECE, raw)


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
