"""Folders with secrets: their owner's only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PRIVATE_DIR: Final = 0o700


def make_private_dir(path: Path) -> None:
    """Make the folder, or take the rights of others away from the one that is there.

    The folder around it is made the same way if there is none; one that is there is somebody's decision.
    """
    path.parent.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
    path.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
    path.chmod(PRIVATE_DIR)
