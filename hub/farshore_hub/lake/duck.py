"""A DuckDB that can only read, only the views of streams, within bounds; and its errors in the hub's terms.

It reads the files of the tables itself and no others, reaches nothing else, and its configuration is locked. What does
not fit its memory goes to a folder of its own, up to a bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from farshore_hub.errors import HubError, Invalid, OverLimit, Unknown
from farshore_hub.lake.contents import Contents
from farshore_hub.lake.files.lake_files import REMOTE, LakeFiles
from farshore_hub.lake.settings import MIB
from farshore_hub.lake.views import is_identifier, named_in, quoted, raw_rows, select_sql, view_columns

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SHOWN_STREAMS: Final = 50
_BATCH_ROWS: Final = 2_048
"""As many as DuckDB itself holds at a time: rows may be large."""

_READS: Final = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})
_WILD: Final = re.compile(r"[*?\[]")
_KINDS: Final = {"Out of Memory Error": duckdb.OutOfMemoryException, "IO Error": duckdb.IOException}
_NO_MEMORY: Final = ("MemoryError", "bad_alloc", "bad alloc", "malloc of size")


@dataclass(frozen=True, slots=True)
class Answer:
    """To a SELECT; it is computed while it is read.

    Attributes:
        schema: its columns.
        batches: its rows. Raises duckdb.Error; see `explained`.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def ask(connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any] = ()) -> Answer:
    """The answer to a SELECT.

    Raises:
        Invalid: not one statement that only reads.
        duckdb.Error: see `explained`.
    """
    _check(connection, sql)
    reader = connection.sql(sql, params=list(params) or None).to_arrow_reader(_BATCH_ROWS)
    return Answer(reader.schema, _batches(reader))


@contextmanager
def connected(
    contents: Mapping[str, Contents],
    lake: LakeFiles | None = None,
    *,
    memory_bytes: int,
    threads: int,
    spill: str = "",
    spill_bytes: int = 0,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of one's own that knows these streams.

    Args:
        contents: of each stream.
        lake: where the files are that `names_of` has named.
        memory_bytes: what it may take before it puts off to disk.
        threads: how many it may start.
        spill: a folder for what does not fit memory; empty: there is none.
        spill_bytes: for how much.
    """
    connection = duckdb.connect(
        config={
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": spill,
            "memory_limit": f"{memory_bytes}B",
            "threads": threads,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        if lake is not None and lake.location.is_remote:
            connection.register_filesystem(_queried(lake))
        # Given to `connect`, it would not hold (DuckDB 2.0).
        connection.execute(f"SET max_temp_directory_size = '{spill_bytes}B'")
        connection.execute("SET parquet_metadata_cache = true")
        connection.execute(f"SET allowed_paths = {_texts(file for each in contents.values() for file in each.files)}")
        connection.execute("SET enable_external_access = false")
        for stream, held in contents.items():
            _add_view(connection, stream, held)
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def names_of(lake: LakeFiles, paths: Iterable[str]) -> list[str]:
    """What files of the lake are called in SQL."""
    if lake.location.is_remote:
        return [f"{REMOTE}://{path}" for path in paths]
    return [f"{lake.location.url}/{path}" for path in paths]


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


def _queried(lake: LakeFiles) -> AbstractFileSystem:
    from farshore_hub.lake.files.queried import QueriedFiles  # noqa: PLC0415 - of no use for a folder

    return QueriedFiles(lake)


def warm_up() -> None:
    """Do once what DuckDB does at its first query, without starting a thread."""
    with connected({}, memory_bytes=64 * MIB, threads=1) as connection:
        list(ask(connection, "SELECT 1").batches)


def too_much_memory(why: str) -> OverLimit:
    """What is said of a query that takes more than memory and disk have room for."""
    return OverLimit(
        f"the query needs too much memory: {why}",
        remedy="ask for less at once; what is sorted or grouped may take more room on the disk with [lake] "
        "max_spill_bytes in hub.toml, and an eighth of what is free there",
    )


def _add_view(connection: duckdb.DuckDBPyConnection, stream: str, contents: Contents) -> None:
    """Make the stream's rows known under `raw_rows`, and a view of it."""
    source = raw_rows(stream)
    files = f"read_parquet({_texts(map(_literally, contents.files))}, union_by_name = true, hive_partitioning = false)"
    connection.execute(f"CREATE VIEW {quoted(source)} AS SELECT * FROM {files}")  # noqa: S608  of quoted texts
    sql = select_sql(quoted(source), view_columns(contents.names))
    connection.execute(f"CREATE VIEW {quoted(stream)} AS {sql}")


def _texts(values: Iterable[str]) -> str:
    """A list of texts in SQL."""
    return "[" + ", ".join("'" + value.replace("'", "''") + "'" for value in values) + "]"


def _literally(path: str) -> str:
    """The path as a pattern that only fits itself."""
    return _WILD.sub(r"[\g<0>]", path)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except OSError as error:  # as Arrow tells DuckDB's errors; their kind stands in front
        raise _KINDS.get(str(error).partition(":")[0], duckdb.Error)(str(error)) from None


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
