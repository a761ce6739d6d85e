"""SQL over everything that is stored: the lake and what is not in it yet, one view per stream.

The question comes from outside: it can only read, only the views, within bounds of time, memory and size of the answer.
DuckDB runs in memory without access to files or the network, and its configuration is locked.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from farshore_hub.errors import HubError, Invalid, OverLimit, TimedOut, Unknown
from farshore_hub.lake.contents import Contents, ContentsReader
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.views import quoted, select_sql, view_columns

MAX_SQL_CHARS: Final = 100_000
_SHOWN_STREAMS: Final = 50
_BATCH_ROWS: Final = 10_000
_READS: Final = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})
_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]*")


def query(sql: str, reader: ContentsReader, settings: QuerySettings) -> pa.Table:
    """The answer to a SELECT.

    Raises:
        Invalid: not one statement that only reads, or an error in it.
        Unknown: it names a stream that does not exist.
        TimedOut, OverLimit: over a bound of `settings`.
        Busy: the lake is too far behind.
    """
    streams = reader.streams()
    _check(sql, streams)
    with connected(settings) as connection, _explained(sql, streams):
        for stream in _named(sql, streams):
            add_view(connection, stream, reader.read(stream))
        connection.execute("SET lock_configuration = true")
        with _interrupted(connection, settings.timeout_s):
            return _bounded(connection.sql(sql).to_arrow_reader(_BATCH_ROWS), settings)


@contextmanager
def connected(settings: QuerySettings, *, temporary: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of one's own; with a folder for what does not fit memory, or else without any access to files."""
    connection = duckdb.connect(
        config={
            "enable_external_access": bool(temporary),
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": temporary,
            "memory_limit": f"{settings.memory_bytes}B",
            "threads": settings.threads,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def add_view(connection: duckdb.DuckDBPyConnection, stream: str, contents: Contents) -> None:
    """Make the stream's view: the rows of its table and the fresh ones."""
    source = add_rows(connection, stream, contents)
    sql = select_sql(source, view_columns(contents.names))
    connection.execute(f"CREATE VIEW {quoted(stream)} AS {sql}")


def add_rows(connection: duckdb.DuckDBPyConnection, stream: str, contents: Contents) -> str:
    """Make the stream's rows known to DuckDB; returns what to select from to get them, with the tables' own columns.

    As one source, not as a UNION of two: with that DuckDB could not move to disk what it was sorting.
    """
    name = f"rows of {stream}"
    connection.register(name, _all_rows(contents))
    return quoted(name)


def _all_rows(contents: Contents) -> pa.Table | pads.Dataset:
    if contents.written is None:
        return contents.fresh
    return pads.dataset([contents.written.replace_schema(contents.fresh.schema), pads.dataset(contents.fresh)])


def _check(sql: str, streams: Sequence[str]) -> None:
    if len(sql) > MAX_SQL_CHARS:
        raise OverLimit(f"the query has {len(sql)} characters, the bound is {MAX_SQL_CHARS}")
    with _explained(sql, streams):
        statements = duckdb.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in _READS:
        raise Invalid("a query is one SELECT", remedy="leave out everything that is not part of it")


def _named(sql: str, streams: Sequence[str]) -> list[str]:
    """The streams whose names occur; one that only occurs in a text is opened needlessly, that is all."""
    text = sql.lower()
    return [each for each in streams if re.search(rf"(?<![a-z0-9_-]){re.escape(each)}(?![a-z0-9_-])", text)]


def _bounded(batches: pa.RecordBatchReader, settings: QuerySettings) -> pa.Table:
    parts: list[pa.RecordBatch] = []
    room_bytes, room_rows = settings.max_result_bytes, settings.max_result_rows
    for batch in batches:
        room_bytes, room_rows = room_bytes - batch.nbytes, room_rows - batch.num_rows
        if room_bytes < 0 or room_rows < 0:
            raise OverLimit(
                f"the answer is larger than {settings.max_result_rows} rows or {settings.max_result_bytes} bytes",
                remedy="aggregate, add a LIMIT, or use the export",
            )
        parts.append(batch)
    return pa.Table.from_batches(parts, batches.schema)


@contextmanager
def _interrupted(connection: duckdb.DuckDBPyConnection, after_s: float) -> Iterator[None]:
    timer = threading.Timer(after_s, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException:
        raise TimedOut(f"the query took longer than {after_s:g} s", remedy="ask for less at once") from None
    finally:
        timer.cancel()


@contextmanager
def _explained(sql: str, streams: Sequence[str]) -> Iterator[None]:
    """Turn DuckDB's errors into the hub's."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise OverLimit(f"the query needs too much memory: {error}", remedy="ask for less at once") from None
    except duckdb.CatalogException as error:
        raise _unknown(error, sql, streams) from None
    except duckdb.Error as error:
        raise Invalid(str(error), remedy=_quotes_remedy(sql, streams)) from None


def _unknown(error: duckdb.CatalogException, sql: str, streams: Sequence[str]) -> HubError:
    remedy = _quotes_remedy(sql, streams)
    if remedy or "Table with name" not in str(error):
        return Invalid(str(error), remedy=remedy)
    shown = ", ".join(quoted(each) if not _IDENTIFIER.fullmatch(each) else each for each in streams[:_SHOWN_STREAMS])
    what = str(error).partition("\n")[0]
    return Unknown(what, remedy=f"the streams are: {shown or 'none yet'}")


def _quotes_remedy(sql: str, streams: Sequence[str]) -> str:
    """What to do when a stream's name is not an SQL identifier as it stands."""
    for stream in _named(sql, streams):
        if not _IDENTIFIER.fullmatch(stream) and quoted(stream) not in sql:
            return f"write the stream's name in double quotes: {quoted(stream)}"
    return ""
