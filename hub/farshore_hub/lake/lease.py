"""Who may write the lake: one process at a time, however many serve the hub.

A lease ends with its holder, even by SIGKILL: on PostgreSQL it is an advisory lock of a connection's session, with
SQLite (one machine) a lock on a file. Should a session break while its holder writes on, the tables'
application transactions still keep a commit from being appended twice.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

LOCK_KEY: Final = 0x6661_7273_686F_7265
"""Of PostgreSQL's advisory lock: "farshore"."""


class Lease(Protocol):
    """The right to write the lake."""

    def take(self) -> bool:
        """Take it, or keep it; False if another process has it."""
        ...

    def release(self) -> None:
        """Give it back; harmless without it."""
        ...


def lease_for(engine: Engine, lock_file: Path) -> Lease:
    """The kind of lease that goes with the store."""
    return SessionLease(engine) if engine.dialect.name == "postgresql" else FileLease(lock_file)


class FileLease:
    """A lock on a file, which the system releases when its process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Take it, or keep it; False if another process has it."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give it back; harmless without it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class SessionLease:
    """An advisory lock of a connection that is kept open for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Take it, or keep it; False if another process has it."""
        if self._connection is not None and self._is_held(self._connection):
            return True
        self.release()
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}):
            connection.close()
            return False
        self._connection = connection
        return True

    def release(self) -> None:
        """Give it back; harmless without it."""
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        with suppress(SQLAlchemyError):  # a session that broke has released it
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
        connection.invalidate()
        connection.close()

    @staticmethod
    def _is_held(connection: Connection) -> bool:
        try:
            connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True
