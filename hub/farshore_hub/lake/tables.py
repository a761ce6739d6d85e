"""The Delta tables, one folder per stream.

What always holds: a lake commit is appended together with its number as the table's application transaction, in one
Delta commit that fails if another writer got there first. So a table says itself which lake commits it contains.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from farshore_hub.lake.naming import SITE, SYSTEM_COLUMNS
from farshore_hub.lake.rows import SYSTEM_SCHEMA

MIB: Final = 1024 * 1024
_BATCH_ROWS: Final = 32_768

UNREADABLE: Final = (OSError, ValueError, pa.ArrowException)
"""What reading a Parquet file raises that is gone or damaged."""

TIERS_BYTES: Final = (8 * MIB, 128 * MIB)
"""Small files become files of the first size, those of the second: a row is rewritten about twice, not each time."""

PARQUET: Final = WriterProperties(compression="ZSTD", compression_level=1)
TABLE_SETTINGS: Final = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 2 days",
    "delta.dataSkippingNumIndexedCols": str(len(SYSTEM_COLUMNS) - 1),
}
"""A busy stream makes 40,000 commits a day: their log is kept for two. Whoever opens a table reads what came since its
last checkpoint: 23 ms for a hundred commits. Statistics of the first columns only."""


class LakeTables:
    """The tables under `path`, as the hub with that id writes them."""

    def __init__(self, path: Path, hub: bytes) -> None:
        self.path = path
        self.hub = hub

    def streams(self) -> list[str]:
        """The streams that have a table."""
        return sorted(log.parent.name for log in self.path.glob("*/_delta_log"))

    def open(self, stream: str) -> StreamTable | None:
        """The stream's table as it is now; None before its first lake commit."""
        try:
            return StreamTable(DeltaTable(self.path / stream), self._app(stream))
        except TableNotFoundError:
            return None

    def open_or_create(self, stream: str) -> StreamTable:
        """The stream's table as it is now, empty if there was none."""
        path = self.path / stream
        return self.open(stream) or StreamTable(
            DeltaTable.create(path, SYSTEM_SCHEMA, mode="ignore", name=stream, configuration=TABLE_SETTINGS),
            self._app(stream),
        )

    def create(self, stream: str, commit: int, rows: pa.Table) -> StreamTable:
        """Make the stream's table with the rows of its first lake commit, in one Delta commit.

        Raises:
            deltalake.exceptions.DeltaError: there is a table already.
            OSError: the disk does not take it.
        """
        _write(self.path / stream, rows, self._app(stream), commit, mode="error", name=stream, settings=TABLE_SETTINGS)
        return StreamTable(DeltaTable(self.path / stream), self._app(stream))

    def _app(self, stream: str) -> str:
        return f"farshore-{self.hub.hex()}-{stream}"


@dataclass(frozen=True, slots=True)
class TableFile:
    """One Parquet file of a table."""

    path: str
    size: int
    fragment: pads.ParquetFileFragment
    schema: pa.Schema

    def batches(self, where: pads.Expression, *, readable: bool = False) -> Iterator[pa.RecordBatch]:
        """Its rows for which a condition about `_site` holds, with all columns of the table, a bounded part at a time.

        Args:
            where: the condition.
            readable: leave out what cannot be read instead of raising.

        Raises:
            OSError, ValueError, pyarrow.ArrowException: it is gone, or cannot be read.
        """
        if not readable:
            yield from self._batches(self.fragment, where)
            return
        with suppress(*UNREADABLE):
            for group in self.fragment.split_by_row_group():
                with suppress(*UNREADABLE):
                    yield from list(self._batches(group, where))

    def _batches(self, part: pads.ParquetFileFragment, where: pads.Expression) -> Iterator[pa.RecordBatch]:
        # A DELETE by delta-rs writes texts as string_view, which Arrow cannot compare (delta-rs issue 4579).
        found = part.physical_schema.get_field_index(SITE)
        compares = found >= 0 and part.physical_schema.field(found).type == pa.string()
        options = {"batch_size": _BATCH_ROWS, "batch_readahead": 1, "fragment_readahead": 0, "use_threads": False}
        for rows in part.to_batches(schema=self.schema, filter=where if compares else None, **options):
            yield rows if compares else rows.filter(where)


class StreamTable:
    """One version of a stream's table. Appending to it fails if somebody else appended after it was opened."""

    def __init__(self, table: DeltaTable, app: str) -> None:
        self._table = table
        self._app = app

    @property
    def last_commit(self) -> int:
        """The newest lake commit that the table contains; 0 if there is none."""
        return self._table.transaction_version(self._app) or 0

    def rows(self) -> pads.Dataset:
        """The rows of this version."""
        return self._table.to_pyarrow_dataset()

    def paths(self) -> list[Path]:
        """The files of this version."""
        return [self.path / path for path in pa.table(self._table.get_add_actions())["path"].to_pylist()]

    def missing_files(self) -> list[str]:
        """The files of this version that are not there."""
        return [path.name for path in self.paths() if not path.exists()]

    @property
    def path(self) -> Path:
        """Its folder."""
        return Path(self._table.table_uri.removeprefix("file://"))

    def files(self) -> list[TableFile]:
        """The files of this version, each to be read on its own."""
        sizes = pa.table(self._table.get_add_actions())
        by_path = dict(zip(sizes["path"].to_pylist(), sizes["size_bytes"].to_pylist(), strict=True))
        rows = self.rows()
        return [TableFile(each.path, by_path.get(each.path, 0), each, rows.schema) for each in rows.get_fragments()]

    def replace_rows(self, which: str, rows: pa.Table) -> None:
        """Put `rows` into the place of those that a condition holds for, in one Delta commit.

        Raises:
            OSError, deltalake.exceptions.DeltaError: a file cannot be read, or the disk does not take it.
        """
        write_deltalake(
            self._table, rows, mode="overwrite", predicate=which, schema_mode="merge", writer_properties=PARQUET
        )

    def remove_rows(self, which: str) -> None:
        """Remove the rows that a condition holds for, in one Delta commit.

        Raises:
            OSError, deltalake.exceptions.DeltaError: a file cannot be read, or the disk does not take it.
        """
        # Not by DELETE: see `TableFile`.
        self.replace_rows(which, SYSTEM_SCHEMA.empty_table())

    def set_aside(self, paths: Sequence[str], to: Path) -> None:
        """Move files that cannot be read out of the table, and go on without them."""
        to.mkdir(parents=True, exist_ok=True)
        for path in paths:
            with suppress(FileNotFoundError):
                (self.path / path).rename(to / Path(path).name)
        self._table.repair(dry_run=False)

    def append(self, commit: int, rows: pa.Table) -> None:
        """Append the rows of a lake commit, and with them that the table contains it.

        Raises:
            deltalake.exceptions.CommitFailedError: another writer appended in the same moment.
            OSError, deltalake.exceptions.DeltaError: the disk does not take it.
        """
        _write(self._table, rows, self._app, commit)

    def is_newest(self) -> bool:
        """Whether this is still the newest version: nobody appended, compacted, or took the table away."""
        log = self.path / "_delta_log"
        at = self._table.version()
        return _version_file(log, at).exists() and not _version_file(log, at + 1).exists()

    def compact(self, max_small_files: int, vacuum_after_h: int) -> int:
        """Join small files if there are many, and remove what no version of the last hours needs.

        Returns:
            How many files were replaced.
        """
        replaced = sum(self._compact_tier(tier_bytes, max_small_files) for tier_bytes in TIERS_BYTES)
        if replaced:
            # In full: what a writer that was killed had begun is in no version and goes too.
            self._table.vacuum(vacuum_after_h, dry_run=False, enforce_retention_duration=False, full=True)
        return replaced

    def _compact_tier(self, tier_bytes: int, max_small_files: int) -> int:
        sizes: list[int] = pa.table(self._table.get_add_actions())["size_bytes"].to_pylist()
        if sum(size < tier_bytes // 2 for size in sizes) <= max_small_files:
            return 0
        done = self._table.optimize.compact(target_size=tier_bytes, writer_properties=PARQUET)
        return int(done["numFilesRemoved"])

    def roll_back(self, last_commit: int) -> None:
        """Make the newest version that has no later lake commit than that the current one.

        Raises:
            deltalake.exceptions.DeltaError: that version is not kept any more.
        """
        versions = range(self._table.version() + 1)
        self._table.restore(bisect_right(versions, last_commit, key=self._last_commit_at) - 1)

    def _last_commit_at(self, version: int) -> int:
        try:
            return DeltaTable(self._table.table_uri, version=version).transaction_version(self._app) or 0
        except DeltaError:  # too old to be kept
            return 0


def _write(
    table: DeltaTable | Path,
    rows: pa.Table,
    app: str,
    commit: int,
    *,
    mode: Literal["append", "error"] = "append",
    name: str | None = None,
    settings: Mapping[str, str | None] | None = None,
) -> None:
    write_deltalake(
        table,
        rows,
        mode=mode,
        schema_mode="merge" if mode == "append" else None,
        name=name,
        configuration=settings,
        writer_properties=PARQUET,
        commit_properties=CommitProperties(app_transactions=[Transaction(app, commit)]),
    )


def _version_file(log: Path, version: int) -> Path:
    return log / f"{version:020}.json"
