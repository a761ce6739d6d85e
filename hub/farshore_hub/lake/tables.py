"""The Delta tables, one folder per stream, wherever the lake lies.

What always holds: a lake commit is appended together with its number as the table's application transaction, in one
Delta commit that fails if another writer got there first. So a table says itself which lake commits it contains.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EIO, ENOENT
from typing import Final

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from farshore_hub.errors import NotReady
from farshore_hub.lake.files.lake_files import LakeFiles
from farshore_hub.lake.files.location import Location
from farshore_hub.lake.naming import SITE, SYSTEM_COLUMNS
from farshore_hub.lake.rows import SYSTEM_SCHEMA

MIB: Final = 1024 * 1024
_BATCH_ROWS: Final = 32_768
_PROBE: Final = ".probe"
"""A table beside those of streams, whose names do not begin with a dot."""

UNREADABLE: Final = (OSError, ValueError, pa.ArrowException)
"""What reading a Parquet file raises that is gone or damaged."""

_OF_THE_FILE: Final = (None, EIO, ENOENT)
"""Error numbers that tell of a file on a disk. Others tell of the machine: too many open files, say."""

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
    """The tables at `location`, as the hub with that id writes them."""

    def __init__(self, location: Location, hub: bytes) -> None:
        self.location = location
        self.files = LakeFiles(location)
        self.hub = hub
        self._options = dict(location.options) or None

    def streams(self) -> list[str]:
        """The streams that have a table.

        Raises:
            NotReady, OSError: they cannot be listed.
        """
        return self.files.streams()

    def open(self, stream: str) -> StreamTable | None:
        """The stream's table as it is now; None before its first lake commit."""
        try:
            return self._opened(stream)
        except TableNotFoundError:
            return None

    def open_or_create(self, stream: str) -> StreamTable:
        """The stream's table as it is now, empty if there was none."""
        found = self.open(stream)
        if found is None:
            DeltaTable.create(
                self.location.of(stream),
                SYSTEM_SCHEMA,
                mode="ignore",
                name=stream,
                configuration=TABLE_SETTINGS,
                storage_options=self._options,
            )
        return found or self._opened(stream)

    def create(self, stream: str, commit: int, rows: pa.Table) -> StreamTable:
        """Make the stream's table with the rows of its first lake commit, in one Delta commit.

        Raises:
            deltalake.exceptions.DeltaError: there is a table already.
            OSError: the disk does not take it.
        """
        write_deltalake(
            self.location.of(stream),
            rows,
            mode="error",
            name=stream,
            configuration=TABLE_SETTINGS,
            storage_options=self._options,
            writer_properties=PARQUET,
            commit_properties=_told(self._app(stream), commit),
        )
        return self._opened(stream)

    def check_commits(self) -> None:
        """Find out whether the object store refuses to overwrite what is there, on which all commits rely.

        Not all that speak S3 do (SeaweedFS 4.16 did not, its issue 8800). Of two commits that are the same one, the
        second has to fail. A file system always does.

        Raises:
            NotReady: it does not.
            OSError, deltalake.exceptions.DeltaError: it does not answer.
        """
        if not self.location.is_remote:
            return
        first, second = self.open_or_create(_PROBE), self._opened(_PROBE)
        commit = first.last_commit + 1
        first.append(commit, SYSTEM_SCHEMA.empty_table())
        with suppress(CommitFailedError):
            second.append(commit, SYSTEM_SCHEMA.empty_table())
            raise NotReady(
                f"the object store of {self.location} overwrites what must not be overwritten (it does not honour "
                "If-None-Match), so commits would be lost",
                remedy="take another one, or a newer version of it; nothing was written",
            )

    def _opened(self, stream: str) -> StreamTable:
        table = DeltaTable(self.location.of(stream), storage_options=self._options)
        return StreamTable(table, self.files, stream, self._app(stream))

    def _app(self, stream: str) -> str:
        return f"farshore-{self.hub.hex()}-{stream}"


@dataclass(frozen=True, slots=True)
class TableFile:
    """One Parquet file of a table.

    Attributes:
        path: in the table's folder.
        place: in the lake; empty of one that lies beside it.
    """

    path: str
    size: int
    fragment: pads.ParquetFileFragment
    schema: pa.Schema
    files: LakeFiles
    place: str

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
        with self._passing_over():
            for group in self.fragment.split_by_row_group():
                with self._passing_over():
                    yield from list(self._batches(group, where))

    def is_to_blame(self, error: BaseException) -> bool:
        """Whether an error of reading it tells of the file, and not of the machine or the way to the object store."""
        if not self.files.location.is_remote:
            return not isinstance(error, OSError) or error.errno in _OF_THE_FILE
        try:
            raw = self.files.read(self.place)
        except OSError as unread:
            return isinstance(unread, FileNotFoundError)
        try:
            for _ in pq.ParquetFile(pa.BufferReader(raw)).iter_batches(_BATCH_ROWS):
                pass
        except UNREADABLE:
            return True
        return False

    @contextmanager
    def _passing_over(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            if not self.is_to_blame(error):
                raise

    def _batches(self, part: pads.ParquetFileFragment, where: pads.Expression) -> Iterator[pa.RecordBatch]:
        # A DELETE by delta-rs writes texts as string_view, which Arrow cannot compare (delta-rs issue 4579).
        found = part.physical_schema.get_field_index(SITE)
        compares = found >= 0 and part.physical_schema.field(found).type == pa.string()
        options = {"batch_size": _BATCH_ROWS, "batch_readahead": 1, "fragment_readahead": 0, "use_threads": False}
        for rows in part.to_batches(schema=self.schema, filter=where if compares else None, **options):
            yield rows if compares else rows.filter(where)


class StreamTable:
    """One version of a stream's table. Appending to it fails if somebody else appended after it was opened."""

    def __init__(self, table: DeltaTable, files: LakeFiles, stream: str, app: str) -> None:
        self._table = table
        self._files = files
        self._stream = stream
        self._app = app

    @property
    def last_commit(self) -> int:
        """The newest lake commit that the table contains; 0 if there is none."""
        return self._table.transaction_version(self._app) or 0

    def rows(self) -> pads.Dataset:
        """The rows of this version."""
        return self._table.to_pyarrow_dataset(filesystem=self._files.under(self._stream))

    def paths(self) -> list[str]:
        """The files of this version, by their paths in the lake."""
        return [self._at(name) for name in self._sizes()]

    def missing_files(self) -> list[str]:
        """The files of this version that are not there."""
        there = set(self._files.names(self._stream))
        return [name for name in self._sizes() if name not in there]

    def files(self) -> list[TableFile]:
        """The files of this version, each to be read on its own."""
        sizes, rows = self._sizes(), self.rows()
        return [
            TableFile(each.path, sizes.get(each.path, 0), each, rows.schema, self._files, self._at(each.path))
            for each in rows.get_fragments()
        ]

    def files_beside(self, folder: str) -> Iterator[TableFile]:
        """The Parquet files of another folder of the lake, read as if they were of this table."""
        schema = self.rows().schema
        for name in self._files.names(folder):
            if name.endswith(".parquet"):
                found = pads.dataset(name, schema=schema, format="parquet", filesystem=self._files.under(folder))
                [fragment] = found.get_fragments()
                yield TableFile(name, 0, fragment, schema, self._files, f"{folder}/{name}")

    def _sizes(self) -> dict[str, int]:
        actions = pa.table(self._table.get_add_actions())
        return dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))

    def _at(self, name: str) -> str:
        return f"{self._stream}/{name}"

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

    def set_aside(self, paths: Sequence[str], to: str) -> None:
        """Move files that cannot be read out of the table into another folder of the lake, and go on without them."""
        for path in paths:
            with suppress(FileNotFoundError):
                self._files.move(self._at(path), f"{to}/{path.rpartition('/')[2]}")
        self._table.repair(dry_run=False)

    def append(self, commit: int, rows: pa.Table) -> None:
        """Append the rows of a lake commit, and with them that the table contains it.

        Raises:
            deltalake.exceptions.CommitFailedError: another writer appended in the same moment.
            OSError, deltalake.exceptions.DeltaError: the disk does not take it.
        """
        write_deltalake(
            self._table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=PARQUET,
            commit_properties=_told(self._app, commit),
        )

    def is_newest(self) -> bool:
        """Whether this is still the newest version: nobody appended, compacted, or took the table away."""
        at = self._table.version()
        return self._files.exist(self._log(at), self._log(at + 1)) == [True, False]

    def _log(self, version: int) -> str:
        return self._at(f"_delta_log/{version:020}.json")

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
            options = dict(self._files.location.options) or None
            table = DeltaTable(self._table.table_uri, version=version, storage_options=options)
            return table.transaction_version(self._app) or 0
        except DeltaError:  # too old to be kept
            return 0


def _told(app: str, commit: int) -> CommitProperties:
    """That a table contains a lake commit."""
    return CommitProperties(app_transactions=[Transaction(app, commit)])
