"""Opens the hub's database, SQLite or PostgreSQL, so that a commit is on disk when it returns.

Two ways in, everywhere: `writing` for a transaction that may change something, `reading` for one that may not. On
SQLite a writer takes the write lock at its begin, because a lock taken later can fail; readers never wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url

from farshore_hub.errors import NotReady
from farshore_hub.store import told
from farshore_hub.store.sqlite import DRIVER, has_reset_bug, library_version
from farshore_shell.system import make_for_us_only

_BUSY_TIMEOUT_MS: Final = 30_000
_AUTOCHECKPOINT_PAGES: Final = 1000
_CACHE_KIB: Final = 32_768
_BEGIN: Final = "farshore_begin"
"""An execution option: how SQLite begins a transaction."""
_SNAPSHOT: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_SQLITE_PRAGMAS: Final = (
    f"busy_timeout={_BUSY_TIMEOUT_MS}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=OFF",
    f"wal_autocheckpoint={_AUTOCHECKPOINT_PAGES}",
    f"cache_size=-{_CACHE_KIB}",
)

LIBRARY_REMEDY: Final = "install a newer one: pip install --upgrade apsw"


def open_engine(url: str) -> Engine:
    """Open the database at an SQLAlchemy URL, `sqlite:///PATH` or `postgresql+psycopg://…`.

    Its errors do not show what was to be stored: they go to the log.
    """
    if make_url(url).get_backend_name() == "sqlite":
        make_for_us_only(Path(make_url(url).database or ""))
        engine = create_engine(make_url(url).set(drivername=DRIVER), hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=5, max_overflow=10)
    event.listen(engine, "handle_error", _drop_stale_plans)
    return engine


def fold_log(engine: Engine) -> None:
    """Bring what is in SQLite's log into the database, to be done before anything of it is told to anybody.

    After a sync that failed, a process that is started anew reads from the system's cache what never reached the disk,
    and no later sync brings it there; copying it does. PostgreSQL does the same by itself when it recovers.

    Raises:
        NotReady: another process keeps the log from being folded.
        OperationalError: the disk refuses.
    """
    if engine.dialect.name != "sqlite":
        return
    # Within a transaction nothing is folded.
    with engine.connect().execution_options(**{_BEGIN: ""}) as connection:
        [is_busy, *_] = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        # The empty log reaches the disk with the next commit. Without it, a loss of power could bring back the old
        # one, to be played over the database that is newer: so there is a commit, which changes nothing.
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        connection.exec_driver_sql(f"PRAGMA user_version = {int(version)}")
    if is_busy:
        raise NotReady("another process is reading the database", remedy="try again when it has ended")


def vacuum(engine: Engine, copy: Path) -> None:
    """Write a SQLite database as of one moment into a new file, while others go on writing; it is on disk then.

    Raises:
        OperationalError: the disk does not take it, or there is such a file.
    """
    make_for_us_only(copy)
    with engine.connect().execution_options(**{_BEGIN: ""}) as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(copy),))
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def library_fault(engine: Engine) -> str:
    """What is wrong with the library that opens this database, or nothing."""
    if engine.dialect.name != "sqlite" or not has_reset_bug(library_version()):
        return ""
    version = ".".join(map(str, library_version()))
    return f"SQLite {version} can lose what was committed (its WAL-reset bug); 3.51.3 is the first that cannot"


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write: committed at the end of the block, rolled back if it raises."""
    with engine.begin() as connection:
        told.taken(connection)  # of one that was rolled back
        yield connection
        news = told.taken(connection)
    if news:
        told.ring_for(engine, news)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: one consistent view, and nobody waits for it."""
    options = {_BEGIN: "BEGIN"} if engine.dialect.name == "sqlite" else _SNAPSHOT
    with engine.connect().execution_options(**options) as connection:
        yield connection


def _drop_stale_plans(context: ExceptionContext) -> None:
    """A connection that has prepared a statement over a column whose type has changed since is of no use any more."""
    if "cached plan must not change result type" in str(context.original_exception):
        context.is_disconnect = True


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own class
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE")
    if begin:
        connection.exec_driver_sql(begin)
