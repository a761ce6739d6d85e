"""A read-only view of a buffer's file, with its log folded in, that needs no intact first page and changes nothing.

SQLite opens no file whose first page is damaged, and it makes files beside a log that it reads. Here the log is read by
`wal`, and where asked the first page comes from a file that was made just now: every file of one schema version has its
tables at the same pages, because an auto-vacuum database keeps the roots of its trees at the front, in order.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import apsw

from farshore_agent.buffer import wal
from farshore_agent.buffer.connection import PAGE_BYTES
from farshore_agent.buffer.migrations import STEPS
from farshore_agent.buffer.queries import read_sql

LOCK_PAGE: Final = (1 << 30) // PAGE_BYTES + 1
"""SQLite keeps this page for its locks and never reads it."""

_FILE_HEADER_BYTES: Final = 100
_INTERIOR_HEADER_BYTES: Final = 12
_INTERIOR: Final = 5
_ROLLBACK_JOURNAL: Final = b"\1\1"

_numbers: Final = itertools.count()


class Pages:
    """The pages of a file as they would be after its log was folded into it; numbered from 1."""

    def __init__(self, file: BinaryIO, changed: dict[int, bytes]) -> None:
        self._file = file
        self._changed = changed
        size = file.seek(0, 2)
        self.count = max([-(-size // PAGE_BYTES), *changed])

    def __getitem__(self, number: int) -> bytes:
        found = self._changed.get(number)
        if found is None:
            found = self._read(number)
        return found.ljust(PAGE_BYTES, b"\0")

    def _read(self, number: int) -> bytes:
        try:
            self._file.seek((number - 1) * PAGE_BYTES)
            return self._file.read(PAGE_BYTES)
        except OSError:  # a sector that the disk cannot read costs its page, not the file
            return b""

    def __iter__(self) -> Iterator[bytes]:
        return (self[number] for number in range(1, self.count + 1))

    def with_schema(self) -> Pages:
        """The same pages, and the first one as this version of the schema makes it."""
        first, children = _schema()
        page = bytearray(first)
        changed = dict(self._changed)
        number = self.count
        for at, child in children.items():
            number += 2 if number + 1 == LOCK_PAGE else 1
            page[at : at + 4] = struct.pack(">I", number)
            changed[number] = child
        changed[1] = bytes(page)
        return Pages(self._file, changed)

    def first(self) -> bytes:
        """The first page, with a header that says how many pages there are and that there is no log."""
        page = bytearray(self[1])
        page[18:20] = _ROLLBACK_JOURNAL
        page[28:32] = struct.pack(">I", self.count)
        page[92:96] = page[24:28]
        return bytes(page)


@contextmanager
def viewed(path: Path) -> Iterator[Pages]:
    """The pages of the database at `path`.

    Raises:
        OSError: it cannot be read.
    """
    log = path.with_name(path.name + "-wal")
    with path.open("rb") as file:
        raw = wal.look(path).mended or (log.read_bytes() if log.exists() else b"")
        yield Pages(file, wal.committed_pages(raw, PAGE_BYTES))


@contextmanager
def connected(pages: Pages) -> Iterator[apsw.Connection]:
    """A connection that reads these pages and nothing else."""
    vfs = _ViewVfs(f"farshore-view-{next(_numbers)}", pages)
    try:
        connection = apsw.Connection("view", flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs.name)
        try:
            connection.pragma("temp_store", "MEMORY")
            yield connection
        finally:
            connection.close(True)  # noqa: FBT003 - apsw's `force`
    finally:
        vfs.unregister()


def _schema() -> tuple[bytes, dict[int, bytes]]:
    """The first page of a fresh file, and by their place in it the pages that hold the rest of the schema."""
    fresh = apsw.Connection(":memory:")
    fresh.pragma("page_size", PAGE_BYTES)
    fresh.pragma("auto_vacuum", "INCREMENTAL")
    for step in STEPS:
        fresh.execute(read_sql(step))
    fresh.pragma("user_version", len(STEPS))
    raw = fresh.serialize("main")
    fresh.close()
    first = bytearray(raw[:PAGE_BYTES])
    first[32:40] = bytes(8)  # the list of free pages, of which this view has none
    children: dict[int, bytes] = {}
    if first[_FILE_HEADER_BYTES] == _INTERIOR:
        cells = struct.unpack_from(">H", first, _FILE_HEADER_BYTES + 3)[0]
        table = struct.unpack_from(f">{cells}H", first, _FILE_HEADER_BYTES + _INTERIOR_HEADER_BYTES)
        for at in (*table, _FILE_HEADER_BYTES + 8):
            number = struct.unpack_from(">I", first, at)[0]
            children[at] = raw[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]
    return bytes(first), children


class _ViewVfs(apsw.VFS):
    """A file system with one file in it."""

    def __init__(self, name: str, pages: Pages) -> None:
        self.name = name
        self._pages = pages
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802, ARG002 - SQLite's names
        return cast("apsw.VFSFile", _ViewFile(self._pages))

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802, ARG002
        return False

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name


class _ViewFile:
    """The file; reads only."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._first = pages.first()

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        number, start = divmod(offset, PAGE_BYTES)
        if number + 1 > self._pages.count:
            return b""
        page = self._first if number == 0 else self._pages[number + 1]
        return page[start : start + amount]

    def xFileSize(self) -> int:  # noqa: N802
        return self._pages.count * PAGE_BYTES

    def xLock(self, level: int) -> None:  # noqa: N802
        """Nobody writes what is looked at here."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """See `xLock`."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:  # noqa: N802, ARG002
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return PAGE_BYTES

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return 0

    def xClose(self) -> None:  # noqa: N802
        """The pages are closed by whoever opened them."""
