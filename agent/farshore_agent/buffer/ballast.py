"""A file that holds nothing but disk space, to be thrown off when others have filled the disk.

Without it a full disk is a trap: deleting from a database, too, has to write to its log first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from farshore_protocol.limits import MIB

PART: Final = 8
MAX_BYTES: Final = 4 * MIB
"""As much as the log needs to be folded into the file, and then some."""


class Ballast:
    """The file beside the buffer's."""

    def __init__(self, database: Path, max_bytes: int) -> None:
        self._path = database.with_name(database.name + ".ballast")
        self._size = min(MAX_BYTES, max_bytes // PART)

    def restore(self) -> bool:
        """Take the space again, if the disk has it and as much again; whether it is taken.

        With less, the next record would fill the disk, and the space would be taken and given back without end.
        """
        if self._path.exists() and self._path.stat().st_size == self._size:
            return True
        try:
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < 2 * self._size:
                return False
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> bool:
        """Give the space back to the disk; whether there was any."""
        is_there = self._path.exists()
        self._path.unlink(missing_ok=True)
        return is_there
