"""What people ask of the lake: SQL, exports, and how far it is behind. For any thread."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pyarrow as pa
from sqlalchemy import Engine

from farshore_hub.lake import export as exports
from farshore_hub.lake.contents import FreshRows
from farshore_hub.lake.export import Export, Wanted
from farshore_hub.lake.formats import Format
from farshore_hub.lake.loading import Loader
from farshore_hub.lake.ports import Opener
from farshore_hub.lake.query import query
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.spill import Spill
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.worker.workers import Asked, Workers
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading
from farshore_hub.store.lake import Lag

DEFAULTS: Final = QuerySettings()


class LakeReader:
    """Reads everything that is stored, in the lake or not yet; `workers` answer."""

    def __init__(
        self,
        engine: Engine,
        opener: Opener,
        tables: LakeTables,
        workers: Workers,
        spill: Spill,
        settings: QuerySettings = DEFAULTS,
    ) -> None:
        self._tables = tables
        self._workers = workers
        self._spill = spill
        self._settings = settings
        loader = Loader(engine, opener)
        self._fresh = FreshRows(engine, loader)
        self._some_fresh = FreshRows(engine, loader, settings.max_fresh_bytes, settings.max_fresh_row_bytes)

    def streams(self) -> list[str]:
        """The names of all streams."""
        return self._fresh.streams()

    def ask(self, sql: str, *, timeout_s: float | None = None, max_rows: int | None = None) -> Asked:
        """A SELECT, asked; bounds that are not given are those of the settings. What comes of it says `Asked`.

        Raises:
            OverLimit: it is too long.
        """
        settings = replace(
            self._settings,
            timeout_s=timeout_s or self._settings.timeout_s,
            max_result_rows=max_rows or self._settings.max_result_rows,
        )
        return query(sql, self._some_fresh, self._tables, self._workers, self._spill, settings)

    def query(self, sql: str, *, timeout_s: float | None = None, max_rows: int | None = None) -> pa.Table:
        """The whole answer to a SELECT.

        Raises:
            Invalid, Unknown, TimedOut, OverLimit, Busy: as their texts say.
        """
        return pa.concat_tables(self.ask(sql, timeout_s=timeout_s, max_rows=max_rows).tables())

    def export(self, wanted: Wanted, kind: Format = Format.NDJSON) -> Export:
        """A stream's records as a file. What comes of it says `export`."""
        return exports.export(wanted, kind, self._fresh, self._tables, self._workers, self._spill, self._settings)


def lake_lag(engine: Engine) -> Lag:
    """How far the lake is behind the store, for metrics."""
    with reading(engine) as connection:
        return store.lag(connection)
