"""Folders that only their owner may enter."""

from __future__ import annotations

from pathlib import Path
from typing import Final

OWNER_ONLY_FOLDER: Final = 0o700


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter; one that exists is narrowed to that. What it lies in is made too."""
    _make(path)
    path.chmod(OWNER_ONLY_FOLDER)


def _make(path: Path) -> None:
    # `parents=True` would make the folders above it with the rights that the umask leaves.
    if not path.is_dir():
        _make(path.parent)
        path.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
