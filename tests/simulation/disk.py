"""Disks: folders in memory, copies of them, and what can go wrong at a statement.

Both stores are real SQLite files. A machine that dies leaves its files as the operating system has them; the next start
works on a copy, so that whatever the dead process still holds open does no harm.
"""

from __future__ import annotations

import enum
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Final

import apsw
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from farshore_hub.store.engine import open_engine
from tests.simulation.loop import Process, running

Image = dict[str, bytes]
"""The files of a folder, by their path in it."""

HUB: Final = "hub"
"""The name of the hub's processes. Its statements are watched where SQLAlchemy runs them."""

_LEFT_OUT: Final = ("-shm", ".lock", ".sock", ".ballast")
_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "COMMIT", "CREATE")


def image_of(folder: Path) -> Image:
    """A copy of what lies in a folder now."""
    found: Image = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(_LEFT_OUT):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def lay_out(image: Image, folder: Path) -> None:
    """Make a folder with those files."""
    for name, content in image.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory, where there is one."""
    memory = Path("/dev/shm")
    folder = Path(mkdtemp(prefix="farshore-simulation-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Trouble(enum.Enum):
    """What a disk can have."""

    FULL = "full"
    """No statement that writes succeeds, or few do."""
    ERRORS = "errors"
    """Any statement may fail."""


@dataclass
class DiskFault:
    """A disk that is in trouble; `share` of the statements meet it."""

    trouble: Trouble
    share: float
    rng: random.Random

    def hits(self, statement: str) -> bool:
        """Whether this statement fails. A rollback ends the transaction whatever the disk says (SQLite's manual)."""
        word = statement.lstrip()[:8].upper()
        if word.startswith("ROLLBACK") or (self.trouble is Trouble.FULL and not word.startswith(_WRITES)):
            return False
        return self.rng.random() < self.share


class Disk:
    """The disk of one machine; its fault holds for every process on it."""

    def __init__(self) -> None:
        self.fault: DiskFault | None = None
        self.hits = 0

    def fails(self, statement: str) -> Trouble | None:
        """What this statement meets."""
        if self.fault is None or not self.fault.hits(statement):
            return None
        self.hits += 1
        return self.fault.trouble


DISKS: Final[dict[Process, Disk]] = {}
"""The disk of each running process."""


def _before_agent(_cursor: object, statement: str, _bindings: object) -> bool:
    process = running()
    if process is not None:
        process.point()
        trouble = DISKS[process].fails(statement)
        if trouble is not None:
            raise _error(trouble)
    return True


def _error(trouble: Trouble) -> apsw.Error:
    return apsw.FullError("database or disk is full") if trouble is Trouble.FULL else apsw.IOError("disk I/O error")


def _trace(connection: apsw.Connection) -> None:
    process = running()
    # A database in memory is no disk; the buffer compares its schema with one that is made once for all agents.
    if process is not None and process.name != HUB and connection.filename:
        connection.exec_trace = _before_agent


@contextmanager
def traced() -> Iterator[None]:
    """While the block runs, every statement of an agent is a point at which it can die or fail."""
    apsw.connection_hooks.append(_trace)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(_trace)


def looking_at(path: Path) -> apsw.Connection:
    """A database that is in use, for looking at it: opened with the library that has it open, and with no faults."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.exec_trace = None
    return connection


@cache
def hub_engine() -> Engine:
    """The engine of every hub that this process simulates: it connects to the running hub's file.

    One for all, because compiled statements are kept by the engine; of a hub it knows nothing else.
    """
    with TemporaryDirectory() as nowhere:
        engine = open_engine(f"sqlite:///{nowhere}/hub.db")
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "before_cursor_execute", _before_hub)
    event.listen(engine, "commit", _before_commit)
    return engine


class HubFile:
    """Which file the hub's engine connects to."""

    path: Path = Path("/nowhere")


def point_to(path: Path) -> Engine:
    """The hub's engine, whose next connections go to that file."""
    HubFile.path = path
    engine = hub_engine()
    engine.dispose(close=False)
    return engine


def _connect(_dialect: object, _record: object, arguments: list[Any], _named: object) -> None:
    arguments[0] = str(HubFile.path)


def _before_hub(
    _connection: object, _cursor: object, statement: str, parameters: object, _context: object, _many: object
) -> None:
    _hub_point(statement)


def _before_commit(_connection: object) -> None:
    _hub_point("COMMIT")


def _hub_point(statement: str) -> None:
    process = running()
    if process is None:
        return
    process.point()
    trouble = DISKS[process].fails(statement)
    if trouble is not None:
        raise OperationalError(statement, None, _error(trouble))
