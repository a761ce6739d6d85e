"""The one connection that writes the buffer's file: pragmas, named queries, transactions, errors in our own words.

Always: write-ahead log and `synchronous=FULL`, so that a commit that returned is on disk. A transaction is
whole or absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from farshore_agent.buffer.queries import QUERIES
from farshore_agent.errors import BufferBroken, BufferFull
from farshore_shell.system import make_for_us_only

PAGE_BYTES: Final = 4096
CHECKPOINT_PAGES: Final = 250
"""A small log: when others fill the disk, the log must not be what takes the last of it."""

BUSY_TIMEOUT_MS: Final = 5_000

_PRAGMAS: Final = (
    ("auto_vacuum", "INCREMENTAL"),
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    # What was sealed is overwritten, see `overwriting`; the rest is not, because zeros need room in the log.
    ("secure_delete", 0),
    ("wal_autocheckpoint", CHECKPOINT_PAGES),
    ("journal_size_limit", CHECKPOINT_PAGES * PAGE_BYTES),
    ("foreign_keys", 1),
    ("cell_size_check", 1),
    # Memory stays small whatever is read: 4 MiB of pages.
    ("cache_size", -4096),
    ("temp_store", "MEMORY"),
)


Value = int | str | bytes | None


class Malformed(Exception):
    """The file's content contradicts itself; only a repair helps."""


class Database:
    """Runs named queries (`sql/queries.sql`) and transactions on one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self._log_is_doubtful = False

    @classmethod
    def open(cls, path: Path, *, vfs: str | None = None) -> Database:
        """Open or create the file and bring everything that is in the log into it, before anything is read.

        Reading first could show what an fsync that failed in an earlier life never brought to disk.

        Raises:
            Malformed: it is no database.
            BufferBroken: the disk refuses.
        """
        if vfs is None:
            make_for_us_only(path)
        with translated():
            database = cls(apsw.Connection(str(path), vfs=vfs))
            try:
                database._prepare()
            except BaseException:
                database.abandon()
                raise
        return database

    def _prepare(self) -> None:
        self.connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        self.connection.pragma("page_size", PAGE_BYTES)
        for name, value in _PRAGMAS:
            self.connection.pragma(name, value)
        self._empty_log()

    def limit(self, max_bytes: int) -> None:
        """Never let the file grow beyond `max_bytes`; one that is larger already shrinks as its content goes."""
        with translated():
            self.connection.pragma("max_page_count", max(1, max_bytes // PAGE_BYTES))

    def rows(self, query: str, *values: Value) -> list[Any]:
        """All rows of a named query."""
        with translated():
            return self.connection.execute(QUERIES[query], values).fetchall()

    def row(self, query: str, *values: Value) -> tuple[Any, ...] | None:
        """The first row, or None."""
        with translated():
            return self.connection.execute(QUERIES[query], values).fetchone()

    def the_row(self, query: str, *values: Value) -> tuple[Any, ...]:
        """The first row of a query that always has one.

        Raises:
            Malformed: it has none.
        """
        row = self.row(query, *values)
        if row is None:
            raise Malformed(f"{query} found nothing")
        return row

    def run(self, query: str, *values: Value) -> int:
        """Run a query for its effect; how many rows it changed."""
        with translated():
            self.connection.execute(QUERIES[query], values)
            return self.connection.changes()

    def insert(self, query: str, *values: Value) -> int:
        """Insert one row; its id."""
        with translated():
            self.connection.execute(QUERIES[query], values)
            return self.connection.last_insert_rowid()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed together, or nothing of it is there."""
        with translated():
            if self._log_is_doubtful:
                self._empty_log()
            self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with translated():
                self._commit()
        except BaseException:
            self._roll_back()
            raise

    def _commit(self) -> None:
        try:
            self.connection.execute("COMMIT")
        except apsw.IOError:
            # The log may end in a whole commit that never was one. The next one must not be written over a part of it.
            self._log_is_doubtful = True
            raise

    def _empty_log(self) -> int:
        """Bring the log into the file; how many bytes of the disk that has freed."""
        log = Path(self.connection.filename_wal)
        size = log.stat().st_size if log.exists() else 0
        self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._log_is_doubtful = False
        return size

    @contextmanager
    def overwriting(self) -> Iterator[None]:
        """What is deleted inside is overwritten with zeros: a free page shows nothing to whoever takes the disk."""
        with translated():
            self.connection.pragma("secure_delete", 1)
        try:
            yield
        finally:
            with translated():
                self.connection.pragma("secure_delete", 0)

    def used_bytes(self) -> int:
        """Bytes of the file that hold something."""
        with translated():
            pages = self.connection.pragma("page_count") - self.connection.pragma("freelist_count")
        return int(pages) * PAGE_BYTES

    def file_bytes(self) -> int:
        """Bytes of the file, free pages included."""
        with translated():
            return int(self.connection.pragma("page_count")) * PAGE_BYTES

    def fold(self) -> bool:
        """Bring everything that is in the log into the file, if the disk lets it; whether that has freed room."""
        try:
            return self._empty_log() > 0
        except (apsw.FullError, apsw.IOError, apsw.BusyError):
            return False

    def shrink(self, pages: int) -> None:
        """Give up to `pages` free pages back to the file system."""
        with translated():
            self.connection.execute(f"PRAGMA incremental_vacuum({int(pages)})").fetchall()

    def abandon(self) -> None:
        """Close a file that is damaged; that this fails is no news."""
        try:
            self.connection.close(True)  # noqa: FBT003 - apsw's `force`
        except apsw.Error:
            return

    def close(self) -> None:
        """Close; without an open transaction the log is folded into the file."""
        with translated():
            self.connection.close()

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some errors; the first error is the one to report.
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except apsw.Error:
                return


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises:
        BufferFull: the file has reached its bound, or the disk has no room.
        Malformed: the content of the file is damaged.
        BufferBroken: anything else that the disk or the operating system does.
    """
    try:
        yield
    except apsw.FullError as error:
        raise BufferFull("the buffer has no room", remedy="try again later") from error
    except (
        apsw.CorruptError,
        apsw.NotADBError,
        apsw.SQLError,
        apsw.ConnectionClosedError,
        UnicodeDecodeError,
    ) as error:
        # Our own SQL is right: where SQLite finds it wrong, the schema is damaged. We store only text that is UTF-8. A
        # closed connection is what a repair leaves that could not be finished; it is tried again.
        raise Malformed(str(error)) from error
    except apsw.BusyError as error:
        raise BufferBroken(
            f"another process holds the buffer's file: {error}", remedy="stop whatever else writes it"
        ) from error
    except (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise BufferBroken(
            f"the disk does not store: {error}", remedy="check the disk, its free room and the folder's permissions"
        ) from error
