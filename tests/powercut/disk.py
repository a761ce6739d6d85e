"""A disk with a write cache that really loses what was not flushed when the power goes.

Killing QEMU alone is no power cut for its disk: whatever the guest has written is in the host's page cache by then,
flushed or not. So the guest's disk is ours: writes stay in memory until the guest flushes.
"""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SECTOR_BYTES: Final = 4096
"""What a disk writes whole or not at all; anything larger may be torn. With 512 bytes ext4 itself does not survive: its
superblock, which it writes in place, is larger and has a checksum."""


class PoweredOff(OSError):
    """The disk has no power: it does not answer any more."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What one power cut did to the cache, in sectors."""

    survived: int
    lost: int


class VolatileDisk:
    """A block device over a file.

    A flush brings the whole cache to the file. When a sector is written again before a flush, the older content may
    have reached the file in between. At a power cut each sector of the cache has reached the file, or is gone, at
    random and in any order. All of it is thread-safe.

    Attributes:
        size: in bytes.
        has_power: False after a power cut.

    Args:
        path: the file with what is on the platter.
        chance: decides what reaches the file unasked.
    """

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._file = os.open(path, os.O_RDWR)
        self._chance = chance
        self._cache: dict[int, bytes] = {}
        self._lock = threading.Lock()
        self.has_power = True
        self._left: int | None = None
        self._cut: Cut | None = None
        self.size = os.fstat(self._file).st_size
        if self.size % SECTOR_BYTES:
            raise ValueError(f"{path} is no disk: {self.size} bytes are not a whole number of sectors")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def read(self, offset: int, count: int) -> bytes:
        """What was written last, whether it is on the platter or not."""
        first, sectors = self._sectors(offset, count)
        with self._lock:
            self._check_power()
            content = bytearray(os.pread(self._file, count, offset))
            for number in range(first, first + sectors):
                if (cached := self._cache.get(number)) is not None:
                    at = (number - first) * SECTOR_BYTES
                    content[at : at + SECTOR_BYTES] = cached
        return bytes(content)

    def write(self, offset: int, content: bytes, *, through: bool = False) -> None:
        """Keep in the cache; with `through` (FUA) it is on the platter on return."""
        first, sectors = self._sectors(offset, len(content))
        with self._lock:
            self._check_power()
            for index in range(sectors):
                self._keep(first + index, content[index * SECTOR_BYTES : (index + 1) * SECTOR_BYTES])
            self._count_down()
            if through:
                self._drain(range(first, first + sectors))

    def flush(self) -> None:
        """Everything that was written is on the platter on return."""
        with self._lock:
            self._check_power()
            self._count_down()
            self._drain(sorted(self._cache))

    def cut_power(self) -> Cut:
        """From now on nothing is answered, and what is on the platter stays as it is."""
        with self._lock:
            return self._cut or self._lose_power()

    def cut_power_after(self, operations: int) -> None:
        """Cut the power by itself, in the middle of the write or flush that comes after so many more of them."""
        with self._lock:
            self._left = operations

    def power_on(self) -> None:
        """Answer again."""
        with self._lock:
            self.has_power, self._left, self._cut = True, None, None

    def _count_down(self) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self._lose_power()
            self._check_power()

    def _lose_power(self) -> Cut:
        self.has_power = False
        cached, share = sorted(self._cache), self._chance.random()
        survivors = [number for number in cached if self._chance.random() < share]
        self._drain(survivors)
        self._cache.clear()
        self._cut = Cut(survived=len(survivors), lost=len(cached) - len(survivors))
        return self._cut

    def _keep(self, sector: int, content: bytes) -> None:
        if sector in self._cache and self._chance.random() < 0.5:
            self._drain((sector,))
        self._cache[sector] = content

    def _drain(self, sectors: range | list[int] | tuple[int, ...]) -> None:
        for number in sectors:
            os.pwrite(self._file, self._cache.pop(number), number * SECTOR_BYTES)

    def _sectors(self, offset: int, count: int) -> tuple[int, int]:
        if offset % SECTOR_BYTES or count % SECTOR_BYTES or not 0 <= offset <= offset + count <= self.size:
            raise ValueError(f"{count} bytes at {offset} are not whole sectors of this disk")
        return offset // SECTOR_BYTES, count // SECTOR_BYTES

    def _check_power(self) -> None:
        if not self.has_power:
            raise PoweredOff("the disk has no power")
