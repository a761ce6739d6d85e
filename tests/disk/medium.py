"""What a disk keeps when the power goes: everything synced, and of the rest any part in any order.

Pure: operations go in, possible contents come out. Harsher than most disks: between two syncs, writes reach the medium
in any order, or not at all, or torn at the borders of sectors. Directory entries are kept in order, as a journalling
file system does it, and a file that was synced has its entry.
"""

from __future__ import annotations

import enum
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

SECTOR_BYTES: Final = 512
TORN_SHARE: Final = 0.3
"""Of the un-synced writes that reach the medium, how many do so only in part."""


class Kind(enum.Enum):
    """What a program does to a disk."""

    OPEN = "open"
    """Of a file that is not there: makes it."""
    READ = "read"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    FORGET = "forget"
    """A sync failed, and what was not written is taken for clean from now on."""
    DELETE = "delete"


class Operation(NamedTuple):
    """One operation that changed a disk; `at` is the offset of a write, or the size after a truncation."""

    kind: Kind
    name: str
    at: int = 0
    data: bytes = b""


Files = dict[str, bytes]


class Medium:
    """The disk as it is after the operations that were applied, with what is only in its caches kept apart."""

    def __init__(self) -> None:
        self._inodes = 0
        self._durable: dict[int, bytearray] = {}
        self._cached: dict[int, list[Operation]] = defaultdict(list)
        self._names: dict[str, int] = {}
        self._durable_names: dict[str, int] = {}
        self._cached_names: list[tuple[str, int | None]] = []

    def apply(self, operation: Operation) -> None:
        """Do what the program did."""
        name = operation.name
        match operation.kind:
            case Kind.OPEN:
                self._make(name)
            case Kind.DELETE:
                self._names.pop(name, None)
                self._cached_names.append((name, None))
            case Kind.SYNC:
                self._flush(self._names[name])
            case Kind.FORGET:
                self._cached.pop(self._names[name], None)
            case _:
                self._cached[self._names[name]].append(operation)

    def after_power_loss(self, chance: random.Random) -> Files:
        """One of the contents that the power could leave behind."""
        style = chance.randrange(8)
        share = {0: 0.0, 1: 1.0}.get(style, chance.random())
        names = dict(self._durable_names)
        _rename(names, self._cached_names[: round(share * len(self._cached_names))])
        return {name: self._survivor(inode, share, chance) for name, inode in names.items()}

    def _survivor(self, inode: int, share: float, chance: random.Random) -> bytes:
        content = bytearray(self._durable[inode])
        for operation in self._cached.get(inode, ()):
            if chance.random() >= share:
                continue
            is_torn = share < 1 and operation.kind is Kind.WRITE and chance.random() < TORN_SHARE
            for part in _sectors(operation) if is_torn else (operation,):
                if not is_torn or chance.random() < share:
                    _write(content, part)
        return bytes(content)

    def _make(self, name: str) -> None:
        self._inodes += 1
        self._names[name] = self._inodes
        self._durable[self._inodes] = bytearray()
        self._cached_names.append((name, self._inodes))

    def _flush(self, inode: int) -> None:
        for operation in self._cached.pop(inode, ()):
            _write(self._durable[inode], operation)
        _rename(self._durable_names, self._cached_names)
        self._cached_names.clear()


def _rename(names: dict[str, int], changes: list[tuple[str, int | None]]) -> None:
    for name, inode in changes:
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _write(content: bytearray, operation: Operation) -> None:
    at, data = operation.at, operation.data
    if operation.kind is Kind.TRUNCATE:
        del content[at:]
    # What lies between the end and a write, or a truncation, further on reads as zeros.
    content.extend(bytes(max(0, at + len(data) - len(content))))
    content[at : at + len(data)] = data


def _sectors(operation: Operation) -> Iterator[Operation]:
    start, end = operation.at, operation.at + len(operation.data)
    while start < end:
        stop = min(end, start - start % SECTOR_BYTES + SECTOR_BYTES)
        piece = operation.data[start - operation.at : stop - operation.at]
        yield Operation(Kind.WRITE, operation.name, start, piece)
        start = stop
