"""Makes a backup while the hub runs: first the database as of one moment, then the lake.

So the lake is as of that moment or ahead of it; one that is ahead is rolled back when a restored hub starts, as after
any restore (`lake.commits`). The files of a table and of its log are written once and never changed, and those that
no version needs go after two days. Therefore the log is copied before the files that it names. A lake in an object
store stays where it is: to keep it is the store's part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from farshore_hub.backup import marks
from farshore_hub.backup.copying import Copier
from farshore_hub.backup.database import dump, kind_of
from farshore_hub.backup.folder import BackupFolder, manifest_of
from farshore_hub.backup.manifest import FORMAT, Manifest
from farshore_hub.errors import Invalid
from farshore_hub.lake.files.location import in_folder
from farshore_hub.lake.files.opening import lake_of
from farshore_hub.lake.tables import LakeTables
from farshore_hub.opening import OpenedHub
from farshore_hub.settings import FILE as SETTINGS
from farshore_hub.settings import ca_path
from farshore_hub.store import version
from farshore_protocol import __version__
from farshore_shell.files import write_private

LAKE: Final = "lake"
KEYS: Final = "keys"
_LOG: Final = "_delta_log"


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made.

    Attributes:
        copied_bytes: of its bytes, those that were not linked to the backup before.
        gone: older ones that were removed.
        archived: accounts of which sites may forget something if `retention.archive` is "backup".
    """

    path: Path
    manifest: Manifest
    copied_bytes: int
    gone: list[str]
    archived: int


def make(hub: OpenedHub, target: Path, *, keep: int, with_keys: bool, tell: Callable[[str], None]) -> Made:
    """Make a backup in `target`, remove the oldest beyond `keep`, and note what the oldest that is left contains.

    Raises:
        NotReady, ProgramFailed, Invalid: the database cannot be copied, or a lake table is not whole.
        OSError, OperationalError: the disk does not take it. Earlier backups are as they were.
    """
    folder = BackupFolder(target, hub.keys.hub.hex())
    before = next(reversed(folder.backups()), None)
    with folder.draft() as draft:
        copier = Copier(draft, before, manifest_of(before).files if before else ())
        made_us = hub.fleet.clock.now_us()
        tell("the database")
        _copy_database(hub, copier, draft)
        _copy_small_files(hub, copier, with_keys=with_keys)
        lake = lake_of(hub.place)
        if lake.folder is not None:
            for stream in LakeTables(lake, hub.keys.hub).streams():
                tell(f"the lake: {stream}")
                _copy_table(hub, lake.folder / stream, copier, draft)
        manifest = Manifest(
            FORMAT,
            folder.hub,
            made_us,
            __version__,
            kind_of(hub.engine),
            version.newest(),
            with_keys,
            copier.files,
            lake.url if lake.is_remote else "",
        )
        path = folder.keep(draft, manifest)
    gone = folder.remove_oldest(keep)
    archived = marks.apply_marks(hub.engine, (folder.backups()[0] / marks.FILE).read_bytes())
    return Made(path, manifest, copier.copied_bytes, gone, archived)


def _copy_database(hub: OpenedHub, copier: Copier, draft: Path) -> None:
    file, archived = dump(hub.engine, draft)
    write_private(draft / marks.FILE, archived)
    copier.made(file)
    copier.made(marks.FILE)


def _copy_small_files(hub: OpenedHub, copier: Copier, *, with_keys: bool) -> None:
    folder = hub.place.data_dir
    copier.add(folder / SETTINGS, SETTINGS)
    copier.add(ca_path(folder), ca_path(folder).name)
    for each in sorted(hub.place.keys.iterdir()) if with_keys else ():
        if each.is_file():
            copier.add(each, f"{KEYS}/{each.name}")


def _copy_table(hub: OpenedHub, source: Path, copier: Copier, draft: Path) -> None:
    stream = source.name
    for each in [*_files(source / _LOG), *_files(source)]:
        # What was there a moment ago and is gone was needed by versions only that are older than two days.
        with suppress(FileNotFoundError):
            copier.add(each, f"{LAKE}/{stream}/{each.relative_to(source).as_posix()}")
    copied = LakeTables(in_folder(draft / LAKE), hub.keys.hub).open(stream)
    if copied is None or (missing := copied.missing_files()):
        raise Invalid(
            f"the lake's table of {stream} is not whole: {', '.join(missing[:3]) if copied else 'it has no log'}",
            remedy="farshore-hub doctor says what to do about it",
        )


def _files(folder: Path) -> Iterator[Path]:
    """The files of a table's folder, or of its log. Those that are still being written begin with a dot."""
    return (each for each in sorted(folder.iterdir()) if each.is_file() and not each.name.startswith("."))
