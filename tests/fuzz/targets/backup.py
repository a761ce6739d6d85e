"""What a backup says of itself: it may come from anywhere, and a restore writes where it says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from farshore_hub.backup import manifest, marks
from farshore_hub.errors import Invalid
from tests.fuzz.target import target

_BACKUP = Path("/backups/farshore-1")


def _manifests() -> Iterator[bytes]:
    files = [manifest.CopiedFile(path, 3, "0" * 64) for path in ("hub.db", "lake/boiler/a.parquet", "keys/tls.pem")]
    yield manifest.Manifest(1, "0" * 16, 1, "1.0", "sqlite", "0009", has_keys=True, files=files).write()
    files = [manifest.CopiedFile(path, 3, "0" * 64) for path in ("../x", "/x", "a//b", ".", "a/./b", "a\0b")]
    yield manifest.Manifest(1, "f" * 16, 1, "1.0", "postgresql", "0009", has_keys=False, files=files).write()


@target(seeds=_manifests)
def backup_manifest(data: bytes) -> None:
    """A manifest names files inside of its folder that can be opened, or is refused."""
    try:
        read = manifest.read_manifest(data, "here")
    except Invalid as error:
        assert str(error)
        return
    assert manifest.read_manifest(read.write(), "here") == read
    for each in read.files:
        assert each.path.encode()
        assert "\0" not in each.path
        assert os.path.normpath(_BACKUP / each.path).startswith(f"{_BACKUP}/")
    assert len({each.path for each in read.files}) == len(read.files), "a file is named twice"


def _marks() -> Iterator[bytes]:
    yield marks.pack([marks.Mark("ship-1", b"12345678", "boiler", 7)])


@target(seeds=_marks)
def backup_marks(data: bytes) -> None:
    """Up to where a backup has everything, or refused."""
    try:
        read = marks.read_marks(data)
    except Invalid as error:
        assert str(error)
        return
    assert marks.read_marks(marks.pack(read)) == read
