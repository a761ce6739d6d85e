"""A DuckDB that can only read, only the views of streams, within bounds; and its errors in the hub's terms.

It runs in memory without access to files or the network, and its configuration is locked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from farshore_hub.errors import HubError, Invalid, OverLimit, Unknown
from farshore_hub.lake.contents import Contents
from farshore_hub.lake.settings import MIB
from farshore_hub.lake.views import is_identifier, named_in, quoted, raw_rows, select_sql, view_columns

_SHOWN_STREAMS: Final = 50
_BATCH_ROWS: Final = 10_000
_READS: Final = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})
_NO_MEMORY: Final = ("MemoryError", "bad_alloc", "bad alloc", "malloc of size")


def ask(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[str], contents: Mapping[str, Contents]
) -> pa.RecordBatchReader:
    """The answer to a SELECT over these streams; it is computed while it is read.

    Raises:
        Invalid: not one statement that only reads.
        duckdb.Error: see `explained`.
    """
    _check(connection, sql)
    for stream, held in contents.items():
        _add_view(connection, stream, held)
    connection.execute("SET lock_configuration = true")
    return connection.sql(sql, params=list(params) or None).to_arrow_reader(_BATCH_ROWS)


@contextmanager
def connected(*, memory_bytes: int, threads: int, temporary: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of one's own; with a folder for what does not fit memory, or else without any access to files."""
    connection = duckdb.connect(
        config={
            "enable_external_access": bool(temporary),
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": temporary,
            "memory_limit": f"{memory_bytes}B",
            "threads": threads,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


@contextmanager
def explained(sql: str, streams: Sequence[str]) -> Iterator[None]:
    """Turn DuckDB's errors into the hub's.

    Raises:
        Invalid: an error in the query.
        Unknown: it names a stream that does not exist.
        OverLimit: it takes more memory than there is for it.
    """
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise too_much_memory(str(error).partition("\n")[0]) from None
    except duckdb.CatalogException as error:
        raise _unknown(error, sql, streams) from None
    except duckdb.Error as error:
        if any(words in str(error) for words in _NO_MEMORY):
            raise too_much_memory("an allocation failed") from None
        raise Invalid(str(error), remedy=_quotes_remedy(sql, streams)) from None


def warm_up() -> None:
    """Do once what DuckDB does at its first query, without starting a thread."""
    with connected(memory_bytes=64 * MIB, threads=1) as connection:
        ask(connection, "SELECT 1", (), {}).read_all()


def too_much_memory(why: str) -> OverLimit:
    """What is said of a query that takes more memory than it may."""
    return OverLimit(f"the query needs too much memory: {why}", remedy="ask for less at once")


def _add_view(connection: duckdb.DuckDBPyConnection, stream: str, contents: Contents) -> None:
    """Make the stream's rows known under `raw_rows`, and a view of it.

    As one source, not as a UNION of two: with that DuckDB could not move to disk what it was sorting.
    """
    source = raw_rows(stream)
    connection.register(source, _all_rows(contents))
    sql = select_sql(quoted(source), view_columns(contents.names))
    connection.execute(f"CREATE VIEW {quoted(stream)} AS {sql}")


def _all_rows(contents: Contents) -> pa.Table | pads.Dataset:
    if contents.written is None:
        return contents.fresh
    return pads.dataset([contents.written.replace_schema(contents.fresh.schema), pads.dataset(contents.fresh)])


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in _READS:
        raise Invalid("a query is one SELECT", remedy="leave out everything that is not part of it")


def _unknown(error: duckdb.CatalogException, sql: str, streams: Sequence[str]) -> HubError:
    remedy = _quotes_remedy(sql, streams)
    if remedy or "Table with name" not in str(error):
        return Invalid(str(error), remedy=remedy)
    shown = ", ".join(quoted(each) if not is_identifier(each) else each for each in streams[:_SHOWN_STREAMS])
    what = str(error).partition("\n")[0]
    return Unknown(what, remedy=f"the streams are: {shown or 'none yet'}")


def _quotes_remedy(sql: str, streams: Sequence[str]) -> str:
    """What to do when a stream's name is not an SQL identifier as it stands."""
    for stream in named_in(sql, streams):
        if not is_identifier(stream) and quoted(stream) not in sql:
            return f"write the stream's name in double quotes: {quoted(stream)}"
    return ""
