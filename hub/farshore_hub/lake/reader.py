"""What people ask of the lake: SQL, exports, and how far it is behind. For any thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa
from sqlalchemy import Engine

from farshore_hub.lake import export as exports
from farshore_hub.lake import query as queries
from farshore_hub.lake.contents import ContentsReader
from farshore_hub.lake.export import Format, Wanted
from farshore_hub.lake.loading import Loader
from farshore_hub.lake.ports import Opener
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.tables import LakeTables
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading
from farshore_hub.store.lake import Lag

DEFAULTS: Final = QuerySettings()


class LakeReader:
    """Reads everything that is stored, in the lake or not yet."""

    def __init__(self, engine: Engine, opener: Opener, tables: LakeTables, settings: QuerySettings = DEFAULTS) -> None:
        self._engine = engine
        self._settings = settings
        self._contents = ContentsReader(engine, Loader(engine, opener), tables, settings.max_fresh_bytes)

    def streams(self) -> list[str]:
        """The names of all streams."""
        return self._contents.streams()

    def query(self, sql: str, *, timeout_s: float | None = None, max_rows: int | None = None) -> pa.Table:
        """The answer to a SELECT; bounds that are not given are those of the settings.

        Raises:
            Invalid, Unknown, TimedOut, OverLimit, Busy: as their texts say.
        """
        settings = replace(
            self._settings,
            timeout_s=timeout_s or self._settings.timeout_s,
            max_result_rows=max_rows or self._settings.max_result_rows,
        )
        return queries.query(sql, self._contents, settings)

    def export(self, wanted: Wanted, kind: Format = Format.NDJSON) -> Iterator[bytes]:
        """A stream's records as a file, piece by piece.

        Raises:
            Unknown, Busy: as their texts say.
        """
        return exports.export(wanted, kind, self._contents, self._settings)


def lake_lag(engine: Engine) -> Lag:
    """How far the lake is behind the store, for metrics."""
    with reading(engine) as connection:
        return store.lag(connection)
