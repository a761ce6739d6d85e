"""Opens stored batches and turns them into rows; used by the writer and by every query over what is not written yet."""

from __future__ import annotations

import logging
from typing import Final

import pyarrow as pa
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from farshore_hub.lake.naming import ColumnMap, ColumnType, LakeColumn
from farshore_hub.lake.ports import Opener
from farshore_hub.lake.rows import only, to_table
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading
from farshore_hub.store.lake import LakeBatch
from farshore_hub.store.ranges import unpack_ranges
from farshore_protocol.limits import MAX_TEXT_CHARS

_log = logging.getLogger(__name__)
_NOT_ITS_FAULT: Final = (OSError, SQLAlchemyError, MemoryError)
"""Of the machine or the database: the same batch may well be read later."""


class BadBatch(Exception):
    """A batch that cannot be turned into rows, now or ever; the text says why."""


class Loader:
    """Batches of the store → rows."""

    def __init__(self, engine: Engine, opener: Opener) -> None:
        self._engine = engine
        self._opener = opener

    def rows(self, batch: LakeBatch, names: ColumnMap) -> pa.Table:
        """The rows of a batch; `names` grows by the columns that it needs.

        Raises:
            BadBatch: it cannot be read.
        """
        if batch.raw is None:
            raise BadBatch("its sealed bytes were given up")
        try:
            return self._rows(batch, batch.raw, names)
        except _NOT_ITS_FAULT:
            raise
        except Exception as error:  # whatever is wrong with one batch, the others must go on
            _log.warning("batch %d of %s cannot be read: %s", batch.id, batch.site, error)
            raise BadBatch(f"{type(error).__name__}: {error}"[:MAX_TEXT_CHARS]) from error

    def _rows(self, batch: LakeBatch, raw: bytes, names: ColumnMap) -> pa.Table:
        columns = self._opener.columns(batch.site, raw)
        if columns.count != batch.count:
            raise ValueError(f"it holds {columns.count} records, its header says {batch.count}")
        rows = to_table(columns, names, site=batch.site, incarnation=batch.incarnation, first=batch.first)
        return only(rows, batch.first, None if batch.take is None else unpack_ranges(batch.take))

    def names(self, stream: str) -> ColumnMap:
        """The columns of a stream's table."""
        with reading(self._engine) as connection:
            known = store.columns_of(connection, stream)
        return ColumnMap(LakeColumn(field, ColumnType(kind), column) for field, kind, column in known)
