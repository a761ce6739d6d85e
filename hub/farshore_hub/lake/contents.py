"""All rows of a stream at one moment, half from its table, half from batches that are not in the table yet.

The table is opened first, then the store is asked for the batches that are in no lake commit up to the table's last
one. A batch gets its commit before its rows are appended, and keeps it; so whatever a writer does in between, no row is
twice and none is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as pads
from sqlalchemy import Engine

from farshore_hub.errors import Busy
from farshore_hub.lake.loading import BadBatch, Loader
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading
from farshore_hub.store.lake import LakeBatch


@dataclass(frozen=True, slots=True)
class Contents:
    """What a stream holds.

    Attributes:
        written: the rows of its table; None before the first lake commit.
        fresh: the other rows, in a table with all columns.
        names: the columns of both.
    """

    written: pads.Dataset | None
    fresh: pa.Table
    names: ColumnMap


class FreshRows:
    """Reads what is not in the tables yet, whatever the lake writer is doing.

    Args:
        engine: the store.
        loader: opens batches.
        max_sealed_bytes: of the batches that are opened for one stream and question.
        max_bytes: of the rows that come out.
    """

    def __init__(self, engine: Engine, loader: Loader, max_sealed_bytes: int, max_bytes: int) -> None:
        self._engine = engine
        self._loader = loader
        self._max_sealed_bytes = max_sealed_bytes
        self._max_bytes = max_bytes

    def streams(self) -> list[str]:
        """The names of all streams."""
        with reading(self._engine) as connection:
            return store.streams(connection)

    def after(self, stream: str, last_commit: int) -> tuple[ColumnMap, Iterator[pa.Table]]:
        """The rows of the stream that are in no lake commit up to that one.

        Returns:
            The stream's columns, which grow while the rows are read, and the rows.

        Raises:
            Busy: so much is not in the lake yet that a query must not open it all; also while the rows are read.
        """
        batches = self._batches(stream, last_commit)
        names = self._loader.names(stream)
        return names, self._rows(stream, batches, names)

    def _rows(self, stream: str, batches: Sequence[LakeBatch], names: ColumnMap) -> Iterator[pa.Table]:
        size = 0
        for batch in batches:
            with suppress(BadBatch):  # the writer sets it aside
                rows = self._loader.rows(batch, names)
                size += rows.nbytes
                if size > self._max_bytes:
                    raise _behind(
                        f"over {self._max_bytes} bytes of rows of {stream} are stored and not in the lake yet"
                    )
                yield rows

    def _batches(self, stream: str, last_commit: int) -> Sequence[LakeBatch]:
        with reading(self._engine) as connection:
            size = store.bytes_after(connection, stream, last_commit)
            if size <= self._max_sealed_bytes:
                return store.batches_after(connection, stream, last_commit)
        raise _behind(
            f"{size} bytes of {stream} are stored and not in the lake yet; a query opens {self._max_sealed_bytes}"
        )


def _behind(what: str) -> Busy:
    return Busy(
        what,
        retry_after_s=60,
        remedy="try again when the lake writer has caught up (farshore_hub_lake_lag_seconds in /metrics)",
    )
