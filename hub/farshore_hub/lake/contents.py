"""All rows of a stream at one moment, half from its table, half from batches that are not in the table yet.

The table is opened first, then the store is asked for the batches that are in no lake commit up to the table's last
one. A batch gets its commit before its rows are appended, and keeps it; so whatever a writer does in between, no row is
twice and none is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from sqlalchemy import Engine

from farshore_hub.errors import Busy
from farshore_hub.lake.loading import BadBatch, Loader
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.settings import MIB
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading
from farshore_hub.store.lake import LakeBatch

_PORTION_BYTES: Final = 16 * MIB
_PORTION_BATCHES: Final = 500
"""So many sealed batches are in memory at one time."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a stream holds.

    Attributes:
        files: the Parquet files with its rows; the first has all columns.
        names: its columns.
    """

    files: Sequence[str]
    names: ColumnMap


class FreshRows:
    """Reads what is not in the tables yet, whatever the lake writer is doing.

    Args:
        engine: the store.
        loader: opens batches.
        max_sealed_bytes: of the batches that are opened for one stream and question; None: as many as there are.
        max_bytes: of the rows that come out, likewise.
    """

    def __init__(
        self, engine: Engine, loader: Loader, max_sealed_bytes: int | None = None, max_bytes: int | None = None
    ) -> None:
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
        with reading(self._engine) as connection:
            sizes = store.sizes_after(connection, stream, last_commit)
        size = sum(sizes.values())
        if self._max_sealed_bytes is not None and size > self._max_sealed_bytes:
            raise behind(
                f"{size} bytes of {stream} are stored and not in the lake yet; a query opens {self._max_sealed_bytes}"
            )
        names = self._loader.names(stream)
        return names, self._rows(stream, sizes, names)

    def _rows(self, stream: str, sizes: Mapping[int, int], names: ColumnMap) -> Iterator[pa.Table]:
        size = 0
        for batch in self._batches(sizes):
            with suppress(BadBatch):  # the writer sets it aside
                rows = self._loader.rows(batch, names)
                size += rows.nbytes
                if self._max_bytes is not None and size > self._max_bytes:
                    raise behind(f"over {self._max_bytes} bytes of rows of {stream} are stored and not in the lake yet")
                yield rows

    def _batches(self, sizes: Mapping[int, int]) -> Iterator[LakeBatch]:
        """Some at a time.

        Raises:
            Busy: one of them was written into the lake and given up, since it was found to be needed.
        """
        for some in _portions(sizes):
            with reading(self._engine) as connection:
                batches = store.batches_by_id(connection, some)
            if len(batches) < len(some) or any(batch.raw is None for batch in batches):
                raise Busy("what is not in the lake yet was written into it, and given up, while it was read")
            yield from batches


def _portions(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    some, size = list[int](), 0
    for batch, more in sizes.items():
        if some and (size + more > _PORTION_BYTES or len(some) == _PORTION_BATCHES):
            yield some
            some, size = [], 0
        some.append(batch)
        size += more
    if some:
        yield some


def behind(what: str) -> Busy:
    """What is said of a question for which too much is not in the lake yet."""
    return Busy(
        what,
        retry_after_s=60,
        remedy="try again when the lake writer has caught up (farshore_hub_lake_lag_seconds in /metrics)",
    )
