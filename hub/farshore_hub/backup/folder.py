"""The folder that the backups of a hub lie in, each in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from farshore_hub.backup.manifest import FILE, MAX_BYTES, Manifest, is_name, name_of, read_manifest, too_many
from farshore_hub.errors import Invalid
from farshore_hub.fleet.files import make_private_folder
from farshore_shell.files import write_private

_DRAFT: Final = ".draft-"


@dataclass(frozen=True, slots=True)
class BackupFolder:
    """The backups of the hub with that id (hex) in `path`."""

    path: Path
    hub: str

    def backups(self) -> list[Path]:
        """The whole ones, the oldest first."""
        if not self.path.is_dir():
            return []
        return sorted(each for each in self.path.iterdir() if is_name(each.name, self.hub) and (each / FILE).is_file())

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A new folder for a backup, removed at the end if it was not kept; what a crash has left is removed, too."""
        path = self.path / f"{_DRAFT}{self.hub}"
        make_private_folder(self.path)
        shutil.rmtree(path, ignore_errors=True)
        make_private_folder(path)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def keep(self, draft: Path, manifest: Manifest) -> Path:
        """Make a draft a backup; returns where it is."""
        write_private(draft / FILE, manifest.write())
        return draft.rename(self.path / name_of(self.hub, manifest.made_us))

    def remove_oldest(self, keep: int) -> list[str]:
        """Keep so many of the newest; returns the names of those that are gone."""
        gone = too_many([each.name for each in self.backups()], keep)
        for name in gone:
            # Without its manifest it is no backup any more, whatever of it a crash leaves.
            (self.path / name / FILE).unlink()
            shutil.rmtree(self.path / name)
        return gone


def manifest_of(backup: Path) -> Manifest:
    """What a backup says of itself.

    Raises:
        Invalid: it is none, or not a whole one.
    """
    try:
        with (backup / FILE).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Invalid(f"{backup} is not a whole backup: {FILE}: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise Invalid(f"{backup / FILE} has more than {MAX_BYTES} bytes")
    return read_manifest(raw, str(backup / FILE))
