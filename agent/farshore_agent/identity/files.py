"""Files with secrets: readable by their owner only, and always either the old or the new content, whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PRIVATE_FILE: Final = 0o600
PRIVATE_DIR: Final = 0o700


def make_private_dir(path: Path) -> None:
    """Make the folder, or take the rights of others away from the one that is there.

    The folder around it is made the same way if there is none; one that is there is somebody's decision.
    """
    path.parent.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
    path.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
    path.chmod(PRIVATE_DIR)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file durably: after a crash it has the old content or the new.

    Raises:
        OSError: the disk is full or refuses.
    """
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with open(handle, "wb") as file:  # noqa: PTH123 - it is a handle, made with its rights from the start
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
