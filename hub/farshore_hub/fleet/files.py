"""Folders that only their owner may enter."""

from __future__ import annotations

from pathlib import Path
from typing import Final

OWNER_ONLY_FOLDER: Final = 0o700


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter; one that exists is narrowed to that."""
    path.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    path.chmod(OWNER_ONLY_FOLDER)
