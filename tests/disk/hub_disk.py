"""The hub's way to the tape: a file system for the SQLite library that Python's own `sqlite3` uses.

Nothing is compiled: the library's tables of functions are copied, and the few that change a disk are replaced by Python
functions that do the real thing and tell the tape. The structures are those of `sqlite3.h`, and have not changed since
SQLite 3.7.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, Final

from tests.disk.place import Place
from tests.disk.tape import OK, Tape

_numbers: Final = itertools.count(1)
_AS_DEFAULT: Final = 1

_CLOSE: Final = CFUNCTYPE(c_int, c_void_p)
_TRANSFER: Final = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE: Final = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC: Final = CFUNCTYPE(c_int, c_void_p, c_int)
# A name goes on by its address: SQLite keeps it, and what was given in the URL lies behind its end.
_OPEN: Final = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE: Final = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


class _Methods(Structure):
    """`sqlite3_io_methods`: what can be done to an open file."""

    _fields_ = (
        ("version", c_int),
        ("close", _CLOSE),
        ("read", _TRANSFER),
        ("write", _TRANSFER),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("others", c_void_p * 13),
    )


class _File(Structure):
    """The beginning of `sqlite3_file`."""

    _fields_ = (("methods", POINTER(_Methods)),)


class _FileSystem(Structure):
    """`sqlite3_vfs`."""

    _fields_ = (
        ("version", c_int),
        ("file_bytes", c_int),
        ("max_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", _OPEN),
        ("delete", _DELETE),
        ("others", c_void_p * 14),
    )


class HubDisk(Place):
    """The disk of one hub: whatever this process opens in the folder is on it."""

    def __init__(self, folder: Path, tape: Tape) -> None:
        super().__init__(folder)
        self.tape = tape
        self._library = ctypes.CDLL(_sqlite3.__file__)
        self._library.sqlite3_vfs_find.restype = POINTER(_FileSystem)
        self._real: _FileSystem = self._library.sqlite3_vfs_find(None).contents
        self._methods: dict[int, _Methods] = {}
        self._paths: dict[int, Path] = {}
        self._own = _copy(self._real)
        self._own.name = self._name = b"tape-%d" % next(_numbers)
        self._own.open, self._own.delete = _OPEN(self._open), _DELETE(self._delete)
        assert self._library.sqlite3_vfs_register(ctypes.byref(self._own), _AS_DEFAULT) == OK

    def close(self) -> None:
        """Take the file system away; nothing may be open on it."""
        assert self._library.sqlite3_vfs_unregister(ctypes.byref(self._own)) == OK
        assert not self._paths

    def _open(self, _own: int, name: int | None, file: int, flags: int, out: int) -> int:
        def really() -> int:
            return int(self._real.open(ctypes.addressof(self._real), name, file, flags, out))

        path = _path(name)
        opened = _File.from_address(file)
        if not self.holds(path) or path.name.endswith("-shm"):
            return really()
        # SQLite closes a file that was not opened if it has methods.
        ctypes.memset(file, 0, ctypes.sizeof(_File))
        code = self.tape.open(path.name, really, is_there=path.exists())
        if code == OK:
            self._paths[file] = path
            opened.methods = ctypes.pointer(self._own_methods(opened.methods))
        return code

    def _delete(self, _own: int, name: int | None, syncs: int) -> int:
        def really() -> int:
            return int(self._real.delete(ctypes.addressof(self._real), name, syncs))

        path = _path(name)
        return self.tape.delete(path.name, really) if self.holds(path) else really()

    def _own_methods(self, real: Any) -> _Methods:  # noqa: ANN401 - a ctypes pointer
        """The real file's methods with ours among them; one table for each that the real file system has."""
        address = ctypes.addressof(real.contents)
        if address not in self._methods:
            theirs = real.contents
            ours = _copy(theirs)
            ours.close = _CLOSE(lambda file: self._close(theirs, file))
            ours.read = _TRANSFER(lambda file, data, count, at: self._read(theirs, file, data, count, at))
            ours.write = _TRANSFER(lambda file, data, count, at: self._write(theirs, file, data, count, at))
            ours.truncate = _TRUNCATE(lambda file, size: self._truncate(theirs, file, size))
            ours.sync = _SYNC(lambda file, _flags: self._sync(file))
            self._methods[address] = ours
        return self._methods[address]

    def _close(self, theirs: _Methods, file: int) -> int:
        del self._paths[file]
        return int(theirs.close(file))

    def _read(self, theirs: _Methods, file: int, data: int, count: int, at: int) -> int:
        error = self.tape.read_error() if self.holds(self._paths[file]) else OK
        return error or int(theirs.read(file, data, count, at))

    def _write(self, theirs: _Methods, file: int, data: int, count: int, at: int) -> int:
        def really(given: bytes) -> int:
            return int(theirs.write(file, given, len(given), at))

        path, content = self._paths[file], ctypes.string_at(data, count)
        return self.tape.write(path.name, at, content, really) if self.holds(path) else really(content)

    def _truncate(self, theirs: _Methods, file: int, size: int) -> int:
        def really() -> int:
            return int(theirs.truncate(file, size))

        path = self._paths[file]
        return self.tape.truncate(path.name, size, really) if self.holds(path) else really()

    def _sync(self, file: int) -> int:
        # The real files need no sync: only the tape decides what is durable.
        path = self._paths[file]
        return self.tape.sync(path.name, lambda: OK) if self.holds(path) else OK


@contextmanager
def hub_disk(folder: Path, tape: Tape) -> Iterator[HubDisk]:
    """The file system of a folder, for as long as the body runs."""
    disk = HubDisk(folder, tape)
    try:
        yield disk
    finally:
        disk.close()


def _path(name: int | None) -> Path:
    return Path(ctypes.string_at(name).decode() if name else "temporary")


def _copy(table: Any) -> Any:  # noqa: ANN401 - a structure of the same kind
    copied = type(table)()
    ctypes.memmove(ctypes.byref(copied), ctypes.byref(table), ctypes.sizeof(table))
    return copied
