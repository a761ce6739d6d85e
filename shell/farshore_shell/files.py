"""Files that are written whole: after a crash at any moment the old content is there, or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

from farshore_shell.owner import as_caller

OWNER_ONLY: Final = 0o600


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one of mode 0600.

    Raises:
        OSError: the disk is full or refuses.
    """
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def open_private(path: Path) -> BinaryIO:
    """Open a file for writing; one that was not there is its owner's only, whatever the umask.

    Raises:
        OSError: it cannot be written.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "wb")


def write_as_caller(path: Path, content: bytes) -> None:
    """Replace a file that whoever has called the command has named, also on a stick that is pulled out.

    Raises:
        OSError: as for `write_private`; or the caller may not write there.
    """
    draft = path.with_name(path.name + ".part")
    with as_caller():
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


def sync_folder(path: Path) -> None:
    """Bring to disk which files are in a folder."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
