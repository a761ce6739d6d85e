"""A database as one file that nobody changes, and back: SQLite by itself, PostgreSQL by its own pg_dump.

Sources: sqlite.org/lang_vacuum.html#vacuuminto; postgresql.org/docs/current/app-pgdump.html.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, inspect
from sqlalchemy.engine import URL

from farshore_hub.backup.marks import marks_of
from farshore_hub.errors import Conflict, HubError, Invalid, NotReady
from farshore_hub.store.engine import open_engine, reading, vacuum
from farshore_shell.texts import printable

SQLITE_FILE: Final = "hub.db"
POSTGRESQL_FILE: Final = "hub.pgdump"
_DEBIAN: Final = Path("/usr/lib/postgresql")
_VARIABLES: Final = {
    "dbname": "PGDATABASE",
    "host": "PGHOST",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "user": "PGUSER",
}

Kind = Literal["sqlite", "postgresql"]


class ProgramFailed(HubError):
    """A program of PostgreSQL did not do its work."""

    title = "the database was not copied"


def kind_of(engine: Engine) -> Kind:
    """Which database it is."""
    return "sqlite" if engine.dialect.name == "sqlite" else "postgresql"


def dump(engine: Engine, folder: Path) -> tuple[str, bytes]:
    """Write the database as of one moment into `folder`; nobody waits for it.

    Returns:
        The name of the file, and the marks of that moment.

    Raises:
        NotReady: there is no pg_dump.
        ProgramFailed: it did not do its work.
        Invalid: the database is damaged.
        OperationalError, OSError: the disk does not take it.
    """
    return _copy_sqlite(engine, folder) if kind_of(engine) == "sqlite" else _dump_postgresql(engine, folder)


def load_postgresql(file: Path, target: URL) -> None:
    """Put a dump into an empty PostgreSQL database, whole or not at all.

    Raises:
        Conflict: there is a hub in it.
        NotReady, ProgramFailed: as `dump`.
    """
    engine = open_engine(target.render_as_string(hide_password=False))
    try:
        if inspect(engine).has_table("alembic_version"):
            raise Conflict(
                f"there is a hub in the database {target.database!r} already", remedy="make an empty one, and name it"
            )
    finally:
        engine.dispose()
    _run(
        "pg_restore",
        ["--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={target.database}", str(file)],
        target,
    )


def _copy_sqlite(engine: Engine, folder: Path) -> tuple[str, bytes]:
    copy = folder / SQLITE_FILE
    vacuum(engine, copy)
    copied = open_engine(f"sqlite:///{copy}")
    try:
        with reading(copied) as connection:
            said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            marks = marks_of(connection)
    finally:
        copied.dispose()
    if said != "ok":
        raise Invalid(f"the database is damaged: {said}", remedy="farshore-hub doctor")
    return SQLITE_FILE, marks


def _dump_postgresql(engine: Engine, folder: Path) -> tuple[str, bytes]:
    target = folder / POSTGRESQL_FILE
    with reading(engine) as connection:
        snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        marks = marks_of(connection)
        _run("pg_dump", ["--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={target}"], engine.url)
    return POSTGRESQL_FILE, marks


def _run(program: str, arguments: Sequence[str], target: URL) -> None:
    # In the environment, because arguments can be read by every user of the machine.
    given = conninfo_to_dict(target.set(drivername="postgresql").render_as_string(hide_password=False))
    known = {_VARIABLES[name]: str(value) for name, value in given.items() if name in _VARIABLES}
    try:
        ended = subprocess.run(  # noqa: S603 - our own arguments
            [_found(program), *arguments], env=os.environ | known, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise NotReady(f"{program} cannot be started: {error.strerror}") from None
    if ended.returncode:
        raise ProgramFailed(f"{program}: {printable(ended.stderr.strip()[-500:])}")


def _found(program: str) -> str:
    if named := shutil.which(program):
        return named
    installed = sorted(_DEBIAN.glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]))
    if not installed:
        raise NotReady(
            f"there is no {program} here, which copies a PostgreSQL database",
            remedy="install PostgreSQL's client programs, of the server's version or newer (postgresql-client)",
        )
    return str(installed[-1])
