"""All rows of a stream at one moment, half from its table, half from batches that are not in the table yet.

The table is opened first, then the store is asked for the batches that are in no lake commit up to the table's last
one. A batch gets its commit before its rows are appended, and keeps it; so whatever a writer does in between, no row is
twice and none is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as pads
from sqlalchemy import Engine

from farshore_hub.errors import Busy
from farshore_hub.lake.loading import BadBatch, Loader
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.rows import empty_table, joined
from farshore_hub.lake.tables import LakeTables
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading
from farshore_hub.store.lake import LakeBatch

_log = logging.getLogger(__name__)


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


class ContentsReader:
    """Reads streams whole, whatever the lake writer is doing."""

    def __init__(self, engine: Engine, loader: Loader, tables: LakeTables, max_fresh_bytes: int) -> None:
        self._engine = engine
        self._loader = loader
        self._tables = tables
        self._max_fresh_bytes = max_fresh_bytes

    def streams(self) -> list[str]:
        """The names of all streams."""
        with reading(self._engine) as connection:
            return store.streams(connection)

    def read(self, stream: str) -> Contents:
        """What the stream holds now.

        Raises:
            Busy: so much is not in the lake yet that a query must not open it all.
        """
        table = self._tables.open(stream)
        fresh = self._fresh(stream, table.last_commit if table else 0)
        names = self._loader.names(stream)
        parts: list[pa.Table] = []
        for batch in fresh:
            with suppress(BadBatch):  # the writer sets it aside
                parts.append(self._loader.rows(batch, names))
        return Contents(table.rows() if table else None, joined([*parts, empty_table(names)]), names)

    def _fresh(self, stream: str, last_commit: int) -> Sequence[LakeBatch]:
        with reading(self._engine) as connection:
            size = store.bytes_after(connection, stream, last_commit)
            if size <= self._max_fresh_bytes:
                return store.batches_after(connection, stream, last_commit)
        raise Busy(
            f"{size} bytes of {stream} are stored and not in the lake yet; a query opens {self._max_fresh_bytes}",
            retry_after_s=60,
            remedy="try again when the lake writer has caught up (farshore_hub_lake_lag_seconds in /metrics)",
        )
