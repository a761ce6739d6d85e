"""Opening the file whatever has happened to it: what cannot be used is set aside, and what can be read of it is kept.

Nothing is deleted: the damaged file stays beside the new one, for whoever wants to look. Records that are known to have
been there and cannot be read become DAMAGED receipts.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import apsw

from farshore_agent.buffer import wal
from farshore_agent.buffer.connection import Database, Malformed, translated
from farshore_agent.buffer.migrations import migrate
from farshore_agent.buffer.salvage import salvage
from farshore_agent.buffer.status import REPAIRS
from farshore_agent.buffer.streams import all_streams
from farshore_agent.buffer.tail import tails

MAX_REPAIRS: Final = 20
_SUFFIXES: Final = ("", "-wal", "-shm")

_log = logging.getLogger(__name__)


def open_file(path: Path, now_us: int, vfs: str | None = None) -> Database:
    """Open the file, create it, or repair it.

    Raises:
        BufferBroken: the disk refuses, or a newer agent made the file.
    """
    mended = wal.mend(path)
    try:
        database = _open_and_look(path, vfs)
    except Malformed as error:
        return replace_file(path, str(error), now_us, vfs)
    if mended:
        _note(database, mended)
    return database


def replace_file(path: Path, why: str, now_us: int, vfs: str | None = None) -> Database:
    """Set a damaged file aside, and begin a new one with what can be read of it."""
    aside = path.with_name(f"{path.name}.damaged-{now_us}")
    for suffix in _SUFFIXES:
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.replace(aside.with_name(aside.name + suffix))
    database = _open_and_look(path, vfs)
    lost = salvage(aside, database, now_us)
    found = f"the file was damaged ({why}), set aside as {aside.name} and read again"
    _note(database, f"{found}; {lost} records are known to be lost")
    return database


def _open_and_look(path: Path, vfs: str | None) -> Database:
    """Open the file, and read enough of it to know that it can be worked with."""
    try:
        database = Database.open(path, vfs=vfs)
    except apsw.SQLError as error:
        raise Malformed(str(error)) from error
    try:
        migrate(database)
        all_streams(database)
        tails(database, 0)
        database.rows("pending_totals")
    except (Malformed, apsw.SQLError, ValueError, TypeError) as error:
        database.abandon()
        raise Malformed(str(error)) from error
    except BaseException:
        database.abandon()
        raise
    return database


def _note(database: Database, what: str) -> None:
    _log.error("buffer: %s", what)
    with database.transaction(), translated():
        before = database.row("note", REPAIRS)
        lines = before[0].decode().splitlines() if before else []
        database.run("set_note", REPAIRS, "\n".join([*lines, what][-MAX_REPAIRS:]).encode())
