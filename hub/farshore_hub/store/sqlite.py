"""SQLAlchemy on the SQLite that apsw brings, instead of the system's.

Python's own `sqlite3` has the system's library, and most systems still have one with the bug of `has_reset_bug`. apsw
lacks little of a driver after PEP 249: what a cursor says of its columns and counts, commits as calls, the names of
errors. A transaction begins when SQLAlchemy says so, never by itself.

No other library may open the database in the same process: the locks of a file are the process's, and the first of
two libraries that closes the file gives them all back (sqlite.org/howtocorrupt.html, "Multiple copies of SQLite").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import Any, Final, cast

import apsw
from sqlalchemy import URL
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine.interfaces import ConnectArgsType, DBAPIModule

DRIVER: Final = "sqlite+apsw"
"""What a URL has to begin with."""

Version = tuple[int, ...]

_FIRST_WITH_BUG: Final = (3, 7, 0)
_REPAIRED_IN: Final = (3, 51, 3)
_ALSO_REPAIRED_IN: Final = ((3, 44, 6), (3, 50, 7))

_STANDARD: Final = {
    "DatabaseError": "Corrupt Format NotADB",
    "DataError": "TooBig",
    "IntegrityError": "Constraint Mismatch",
    "InterfaceError": "Misuse Range",
    "InternalError": "Internal NotFound",
    "OperationalError": "Abort Auth Busy CantOpen Empty Full Interrupt IO Locked NoLFS NoMem Permissions Protocol "
    "ReadOnly SchemaChange SQL",
    "ProgrammingError": "Bindings ConnectionClosed CursorClosed ExecutionComplete IncompleteExecution "
    "ThreadingViolation",
}
"""PEP 249's names for apsw's errors, as Python's `sqlite3` gives them; apsw's end in `Error` too."""

_NAMES: Final = {f"{name}Error": standard for standard, names in _STANDARD.items() for name in names.split()}


def has_reset_bug(version: Version) -> bool:
    """Whether this SQLite can lose what was committed when two connections write and checkpoint at one moment.

    A checkpoint that begins when the whole log is in the file, while another connection starts the log anew, takes
    frames for copied that are not; the next checkpoint leaves them out. Source: sqlite.org/wal.html#walresetbug.
    """
    if any(version[:2] == repaired[:2] and version >= repaired for repaired in _ALSO_REPAIRED_IN):
        return False
    return _FIRST_WITH_BUG <= version < _REPAIRED_IN


def library_version() -> Version:
    """Of the SQLite that databases are opened with, `(3, 54, 1)`."""
    return tuple(map(int, apsw.sqlite_lib_version().split(".")))


class Cursor(apsw.Cursor):
    """Runs a statement and hands out its rows."""

    arraysize = 1
    _columns: tuple[Any, ...] | None = None
    _counts = False

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Cursor:  # type: ignore[override]
        """Run a statement to its first row."""
        self.exec_trace = _note_columns
        super().execute(statement, values)
        self._counts = self._columns is None
        return self

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> Cursor:  # type: ignore[override]
        """Run a statement with each row's values."""
        self.exec_trace = None
        self._columns, self._counts = None, False
        super().executemany(statement, rows)
        return self

    @property
    def description(self) -> tuple[Any, ...] | None:  # type: ignore[override]
        """Name and six times nothing of every column; None of a statement without rows. Also after the last row."""
        return self._columns

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed, or -1; to be read before the connection's next statement."""
        return self.connection.changes() if self._counts else -1

    @property
    def lastrowid(self) -> int:
        """The id of the row that was inserted last; to be read before the connection's next statement."""
        return self.connection.last_insert_rowid()

    def fetchone(self) -> Any | None:  # noqa: ANN401 - a row
        """Return the next row, or None."""
        with _Decoding():
            return super().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return up to so many rows."""
        with _Decoding():
            return list(islice(self, size or self.arraysize))

    def fetchall(self) -> list[Any]:
        """Return all that are left."""
        with _Decoding():
            return super().fetchall()


class Connection(apsw.Connection):
    """A connection whose transactions are ended by calls."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.cursor_factory = Cursor

    def commit(self) -> None:
        """Commit, if there is a transaction."""
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        """Roll back, if there is a transaction."""
        if self.in_transaction:
            self.execute("ROLLBACK")


class ApswDialect(SQLiteDialect):
    """SQLAlchemy's SQLite with apsw."""

    driver = "apsw"
    default_paramstyle = "qmark"
    supports_statement_cache = True
    returns_native_bytes = True
    dbapi_exception_translation_map = _NAMES

    @classmethod
    def import_dbapi(cls) -> DBAPIModule:
        """What SQLAlchemy asks a driver's module for."""
        module = SimpleNamespace(
            __name__="apsw",
            Binary=bytes,
            Error=apsw.Error,
            connect=Connection,
            paramstyle=cls.default_paramstyle,
            sqlite_version_info=library_version(),
        )
        return cast("DBAPIModule", module)

    def create_connect_args(self, url: URL) -> ConnectArgsType:
        """Only the path: everything else is set by pragmas."""
        return [url.database or ":memory:"], {}

    def _get_server_version_info(self, _connection: object) -> Version:
        return library_version()

    def is_disconnect(self, e: Exception, *_: object) -> bool:
        """Whether the connection was closed by somebody else."""
        return isinstance(e, apsw.ConnectionClosedError)


class _Decoding:
    """Says of a text that is none what SQLite would say of its page: the database is damaged."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnicodeDecodeError):
            raise apsw.CorruptError(f"a text in the database is damaged: {error}") from error


def _note_columns(cursor: apsw.Cursor, _statement: str, _values: object) -> bool:
    # After the last row apsw does not tell any more what the columns were.
    cast("Cursor", cursor)._columns = cursor.get_description() or None  # noqa: SLF001 - of the class above
    return True


registry.register("sqlite.apsw", __name__, ApswDialect.__name__)
