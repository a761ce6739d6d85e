"""Copying files so that a backup is on disk, has a hash for each, and shares what did not change."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from farshore_hub.backup.manifest import CopiedFile
from farshore_hub.errors import Invalid
from farshore_hub.fleet.files import make_private_folder
from farshore_protocol.limits import MIB
from farshore_shell.files import OWNER_ONLY

_PIECE_BYTES: Final = 1 * MIB


class Copier:
    """Copies into `target`; what the backup before has unchanged is linked.

    Attributes:
        files: what was copied or linked.
        copied_bytes: without what was linked.
    """

    def __init__(self, target: Path, before: Path | None, known: Iterable[CopiedFile]) -> None:
        self._target = target
        self._before = before
        self._known = {each.path: each for each in known}
        self.files: list[CopiedFile] = []
        self.copied_bytes = 0

    def add(self, source: Path, path: str) -> None:
        """Take one file over.

        Raises:
            FileNotFoundError: it is gone.
            OSError: the disk does not take it.
        """
        known = self._known.get(path)
        if known is not None and self._linked(source, path):
            self.files.append(known)
            return
        target = self._target / path
        make_private_folder(target.parent)
        self.files.append(_copied(source, target, path))
        self.copied_bytes += self.files[-1].size

    def made(self, path: str) -> None:
        """Take note of a file that was written in the target."""
        target = self._target / path
        self.files.append(CopiedFile(path, target.stat().st_size, sha256_of(target)))
        self.copied_bytes += self.files[-1].size

    def _linked(self, source: Path, path: str) -> bool:
        if self._before is None:
            return False
        before, target = self._before / path, self._target / path
        try:
            is_same = _marks(source) == _marks(before)
            if is_same:
                make_private_folder(target.parent)
                os.link(before, target)
        except OSError:  # gone meanwhile, or a file system without links: it is copied
            return False
        return is_same


def check(backup: Path, files: Iterable[CopiedFile], tell: Callable[[int], None]) -> None:
    """Read every file of a backup and compare; `tell` gets the bytes that were read.

    Raises:
        Invalid: with the files that are missing or changed, the first twenty.
    """
    wrong = []
    for each in files:
        try:
            found = sha256_of(backup / each.path)
        except OSError as error:
            wrong.append(f"{each.path}: {error.strerror}")
            continue
        if found != each.sha256:
            wrong.append(f"{each.path}: not as it was copied")
        tell(each.size)
    if wrong:
        raise Invalid(
            f"{len(wrong)} file(s) of {backup} are damaged: " + "; ".join(wrong[:20]), remedy="take another backup"
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied(source: Path, target: Path, path: str) -> CopiedFile:
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as given:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as taken:
            while piece := given.read(_PIECE_BYTES):
                digest.update(piece)
                taken.write(piece)
                size += len(piece)
            taken.flush()
            os.fsync(taken.fileno())
        found = os.fstat(given.fileno())
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    return CopiedFile(path, size, digest.hexdigest())


def _marks(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
