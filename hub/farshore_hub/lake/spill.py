"""Folders on the disk, one for each question, for what does not fit the memory of the process that answers it.

What always holds: a folder is locked as long as somebody uses it, whichever of the hub's processes that is, and is gone
when it was used. What a killed process left is removed by the next one that comes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SHARE_OF_FREE: Final = 8
"""A question gets the eighth part of what is free: as many as are answered at one time leave a third of it."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Of one question.

    Attributes:
        path: where it is.
        max_bytes: what may be put there.
    """

    path: Path
    max_bytes: int


class Spill:
    """The folders under `path`, each for at most `max_bytes`. For any thread and process."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes

    @contextmanager
    def folder(self) -> Iterator[Folder]:
        """One of one's own, until the block ends.

        Raises:
            OSError: it cannot be made.
        """
        with _locked(self._made()):
            self._remove_left()
            path = Path(tempfile.mkdtemp(prefix="question-", dir=self._path))
            lock = _lock(path)
        try:
            yield Folder(path, min(self._max_bytes, shutil.disk_usage(path).free // _SHARE_OF_FREE))
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def _made(self) -> Path:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._path

    def _remove_left(self) -> None:
        for each in self._path.iterdir():
            with suppress(BlockingIOError, FileNotFoundError), _locked(each, wait=False):
                shutil.rmtree(each, ignore_errors=True)


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    lock = _lock(path, wait=wait)
    try:
        yield
    finally:
        os.close(lock)


def _lock(path: Path, *, wait: bool = True) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
