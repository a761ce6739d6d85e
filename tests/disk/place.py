"""The folder that is on the disk, and the ones that killed processes still have open."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

_LOG: Final = "-wal"


class Place:
    """Only the files in `folder` are on the disk; what a killed process does to others is not heard of any more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def kill(self, database: Path) -> Path:
        """End the process that has the database open: the file as the next process finds it."""
        self.folder = self.folder.with_name(f"{self.folder.name}+")
        self.folder.mkdir()
        for source in (database, database.with_name(database.name + _LOG)):
            if source.exists():
                shutil.copy(source, self.folder)
        return self.folder / database.name

    def holds(self, path: Path) -> bool:
        """Whether what is done to the file is done to the disk."""
        return path.parent == self.folder
