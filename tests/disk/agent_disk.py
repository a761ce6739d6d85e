"""The agent's way to the tape: a file system for apsw that does everything really, and past the tape."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from tests.disk.place import Place
from tests.disk.tape import OK, Tape

_numbers: Final = itertools.count(1)
_REAL: Final = "unix"
"""By its name, because the default may be one of ours."""


class AgentDisk(Place, apsw.VFS):
    """The disk of one agent."""

    IS_DEFAULT = False

    def __init__(self, folder: Path, tape: Tape) -> None:
        Place.__init__(self, folder)
        self.tape = tape
        self.name = f"tape-{next(_numbers)}"
        apsw.VFS.__init__(self, self.name, _REAL, makedefault=self.IS_DEFAULT)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> AgentFile:  # noqa: N802 - apsw's name
        return AgentFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name
        def really() -> int:
            return _done(super(AgentDisk, self).xDelete(filename, syncdir))

        path = Path(filename)
        _check(self.tape.delete(path.name, really) if self.holds(path) else really())


class AgentFile(apsw.VFSFile):
    def __init__(self, disk: AgentDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        path = Path((name.filename() if isinstance(name, apsw.URIFilename) else name) or "temporary")
        self._path = path
        self._disk = disk

        def really() -> int:
            return _done(super(AgentFile, self).__init__(_REAL, name, flags))

        _check(disk.tape.open(path.name, really, is_there=path.exists()) if disk.holds(path) else really())

    @property
    def _tape(self) -> Tape | None:
        return self._disk.tape if self._disk.holds(self._path) else None

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        if self._tape is not None:
            _check(self._tape.read_error())
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        def really(given: bytes) -> int:
            return _done(super(AgentFile, self).xWrite(given, offset))

        _check(
            self._tape.write(self._path.name, offset, bytes(data), really) if self._tape is not None else really(data)
        )

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name
        def really() -> int:
            return _done(super(AgentFile, self).xTruncate(newsize))

        _check(self._tape.truncate(self._path.name, newsize, really) if self._tape is not None else really())

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        # The real files need no sync: only the tape decides what is durable.
        if self._tape is not None:
            _check(self._tape.sync(self._path.name, lambda: OK))


@contextmanager
def agent_disk(folder: Path, tape: Tape) -> Iterator[AgentDisk]:
    """The file system of a folder, for as long as the body runs."""
    disk = AgentDisk(folder, tape)
    try:
        yield disk
    finally:
        disk.unregister()


def _done(_nothing: object) -> int:
    return OK


def _check(code: int) -> None:
    if code != OK:
        raise apsw.exception_for(code)
