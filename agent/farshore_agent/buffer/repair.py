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
from farshore_agent.buffer.connection import PAGE_BYTES, Database, Malformed, translated
from farshore_agent.buffer.migrations import check_schema, migrate
from farshore_agent.buffer.reconcile import reconcile
from farshore_agent.buffer.salvage import Salvaged, salvage
from farshore_agent.buffer.status import REPAIRS
from farshore_agent.buffer.streams import all_streams
from farshore_agent.buffer.tail import tails
from farshore_agent.errors import BufferBroken
from farshore_protocol.limits import MIB
from farshore_shell.files import sync_folder

MAX_REPAIRS: Final = 20
CHECKED_AT_START_BYTES: Final = 32 * MIB
"""A larger file is checked while the agent runs, piece by piece (`scrub`): a start must not take minutes."""

HEADER_BYTES: Final = 100
_MAGIC: Final = b"SQLite format 3\0" + PAGE_BYTES.to_bytes(2, "big")
_VERSIONS: Final = (b"\1\1", b"\2\2")
"""For writing and reading: 1 before the file has a write-ahead log, 2 with it."""

_FRACTIONS: Final = bytes((0, 64, 32, 32))
_SUFFIXES: Final = ("", "-wal", "-shm")

_log = logging.getLogger(__name__)


def open_file(path: Path, now_us: int, vfs: str | None = None) -> Database:
    """Open the file, create it, or repair it.

    Raises:
        BufferBroken: the disk refuses, or a newer agent made the file.
    """
    try:
        _finish_repair(path, now_us)
        log = wal.mend(path)
    except OSError as error:
        raise BufferBroken(f"the disk does not store: {error}", remedy="check the disk and its free room") from error
    if not log.is_whole:
        return replace_file(path, log.what, now_us, vfs)
    try:
        database = _open_and_look(path, vfs)
    except Malformed as error:
        return replace_file(path, str(error), now_us, vfs)
    if log.what:
        note(database, f"{log.what}; the log was mended")
    lost = reconcile(database, now_us, "records that should have been in the buffer's file were not there")
    if lost:
        note(database, f"{lost} records should have been in the file and were not; they have receipts")
    return database


def replace_file(path: Path, why: str, now_us: int, vfs: str | None = None) -> Database:
    """Set a damaged file aside, and go on in a new one with what can be read of it.

    The new one is made beside it and put in its place when it is whole: whatever interrupts that, the next start finds
    the damaged file as it was, or the new one.

    Raises:
        BufferFull, BufferBroken: the disk has no room for the new file, or refuses.
    """
    repaired, aside = _beside(path), _unused(path, now_us)
    _remove(repaired)
    database = _open_and_look(repaired, vfs)
    try:
        salvaged = salvage(path, database, now_us)
        found = f"the file was damaged ({why}), set aside as {aside.name} and read again"
        note(database, f"{found}; {salvaged.lost} records are known to be lost{_about_inputs(salvaged)}")
        database.close()
    except BaseException:
        database.abandon()
        _remove(repaired)
        raise
    _set_aside(path, aside)
    _put_in_place(path)
    return _open_and_look(path, vfs)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".repaired")


def _remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _set_aside(path: Path, aside: Path) -> None:
    """The database first: while it is there, the new file counts for nothing."""
    for suffix in _SUFFIXES:
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.replace(aside.with_name(aside.name + suffix))


def _put_in_place(path: Path) -> None:
    _beside(path).replace(path)
    sync_folder(path.parent)


def _finish_repair(path: Path, now_us: int) -> None:
    """Go on with a repair that ended between setting the damaged file aside and putting the new one in its place."""
    if _beside(path).exists() and not path.exists():
        _set_aside(path, _unused(path, now_us))
        _put_in_place(path)


def _unused(path: Path, now_us: int) -> Path:
    """A name for the damaged file that no earlier one has, whatever the clock says."""
    while (aside := path.with_name(f"{path.name}.damaged-{now_us}")).exists():
        now_us += 1
    return aside


def _look_at_header(path: Path) -> None:
    """Check what SQLite takes for granted: a flipped bit there makes a file read-only, or another kind of file.

    Raises:
        Malformed: it is not the header of a buffer.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Malformed(f"the first page cannot be read: {error.strerror}") from error
    if header and not (header.startswith(_MAGIC) and header[18:20] in _VERSIONS and header[20:24] == _FRACTIONS):
        raise Malformed("the file's header is damaged")


def _open_and_look(path: Path, vfs: str | None) -> Database:
    """Open the file, and read enough of it to know that it can be worked with."""
    _look_at_header(path)
    try:
        database = Database.open(path, vfs=vfs)
    except apsw.SQLError as error:
        raise Malformed(str(error)) from error
    try:
        migrate(database)
        check_schema(database)
        all_streams(database)
        tails(database, 0)
        database.rows("pending_totals")
        if database.file_bytes() <= CHECKED_AT_START_BYTES:
            _check(database)
    except (Malformed, apsw.SQLError, ValueError, TypeError) as error:
        database.abandon()
        raise Malformed(str(error)) from error
    except BaseException:
        database.abandon()
        raise
    return database


def _check(database: Database) -> None:
    """Let SQLite check the whole file: every page, row and index entry, and what rows refer to."""
    with translated():
        wrong = database.connection.execute("PRAGMA integrity_check(3)").fetchall()
        orphans = database.connection.execute("PRAGMA foreign_key_check").fetchone()
    if wrong != [("ok",)]:
        raise Malformed("; ".join(str(each).splitlines()[-1] for (each,) in wrong))
    if orphans:
        raise Malformed(f"a row of {orphans[0]} belongs to one of {orphans[2]} that is not there")


def _about_inputs(salvaged: Salvaged) -> str:
    return "; an input may read again what it had read already" if "checkpoints" in salvaged.unread else ""


def note(database: Database, what: str) -> None:
    """Remember damage that was found, for the status; and log it."""
    _log.error("buffer: %s", what)
    with database.transaction(), translated():
        before = database.row("note", REPAIRS)
        lines = before[0].decode().splitlines() if before else []
        database.run("set_note", REPAIRS, "\n".join([*lines, what][-MAX_REPAIRS:]).encode())
