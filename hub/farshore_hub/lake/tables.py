"""The Delta tables, one folder per stream.

What always holds: a lake commit is appended together with its number as the table's application transaction, in one
Delta commit that fails if another writer got there first. So a table says itself which lake commits it contains.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import TableNotFoundError

from farshore_hub.lake.naming import SYSTEM_COLUMNS
from farshore_hub.lake.rows import SYSTEM_SCHEMA

MIB: Final = 1024 * 1024

TIERS_BYTES: Final = (8 * MIB, 128 * MIB)
"""Small files become files of the first size, those of the second: a row is rewritten about twice, not each time."""

PARQUET: Final = WriterProperties(compression="ZSTD", compression_level=1)
TABLE_SETTINGS: Final = {
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 2 days",
    "delta.dataSkippingNumIndexedCols": str(len(SYSTEM_COLUMNS) - 1),
}
"""A busy stream makes 40,000 commits a day: their log is kept for two. Statistics of the first columns only."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table: its rows, and the last lake commit among them (0 before the first)."""

    rows: pads.Dataset
    last_commit: int


class LakeTables:
    """The tables under `path`, as the hub named `hub` (hex text) writes them."""

    def __init__(self, path: Path, hub: str) -> None:
        self._path = path
        self._hub = hub

    def last_commit(self, stream: str) -> int:
        """The newest lake commit that the stream's table contains; 0 if there is none."""
        table = self._open(stream)
        return self._last_commit(table, stream) if table else 0

    def append(self, stream: str, commit: int, rows: pa.Table) -> bool:
        """Append the rows of a lake commit; False if the table contains that commit already.

        Raises:
            deltalake.exceptions.CommitFailedError: another writer appended in the same moment.
            OSError: the disk does not take it.
        """
        table = self._open(stream) or self._create(stream)
        if self._last_commit(table, stream) >= commit:
            return False
        write_deltalake(
            table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=PARQUET,
            commit_properties=CommitProperties(app_transactions=[Transaction(self._app(stream), commit)]),
        )
        return True

    def snapshot(self, stream: str) -> Snapshot | None:
        """The table as it is now; None before the first lake commit."""
        table = self._open(stream)
        if table is None:
            return None
        return Snapshot(table.to_pyarrow_dataset(), self._last_commit(table, stream))

    def compact(self, stream: str, max_small_files: int, vacuum_after_h: int) -> int:
        """Join small files where there are many, and remove files that no version of the last hours needs.

        Returns:
            How many files were replaced.
        """
        table = self._open(stream)
        if table is None:
            return 0
        replaced = sum(self._compact_tier(table, tier, max_small_files) for tier in TIERS_BYTES)
        if replaced:
            table.vacuum(retention_hours=vacuum_after_h, enforce_retention_duration=False, dry_run=False)
        return replaced

    def _compact_tier(self, table: DeltaTable, tier_bytes: int, max_small_files: int) -> int:
        sizes: Sequence[int] = pa.table(table.get_add_actions())["size_bytes"].to_pylist()
        if sum(size < tier_bytes // 2 for size in sizes) <= max_small_files:
            return 0
        done = table.optimize.compact(target_size=tier_bytes, writer_properties=PARQUET)
        return int(done["numFilesRemoved"])

    def _open(self, stream: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._path / stream)
        except TableNotFoundError:
            return None

    def _create(self, stream: str) -> DeltaTable:
        return DeltaTable.create(
            self._path / stream, schema=SYSTEM_SCHEMA, mode="ignore", name=stream, configuration=TABLE_SETTINGS
        )

    def _last_commit(self, table: DeltaTable, stream: str) -> int:
        return table.transaction_version(self._app(stream)) or 0

    def _app(self, stream: str) -> str:
        return f"farshore-{self._hub}-{stream}"
