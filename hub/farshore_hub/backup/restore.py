"""A hub out of a backup. Sites notice that it is another life, and send again what the backup does not have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from farshore_hub import settings
from farshore_hub.backup.copying import Copier, check
from farshore_hub.backup.database import POSTGRESQL_FILE, SQLITE_FILE, load_postgresql
from farshore_hub.backup.folder import manifest_of
from farshore_hub.backup.make import KEYS, LAKE
from farshore_hub.backup.manifest import Manifest
from farshore_hub.backup.marks import FILE as MARKS
from farshore_hub.errors import Conflict, Invalid
from farshore_hub.fleet.files import make_private_folder
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.settings import FILE, HubSettings, database_url, keys_folder

_ELSEWHERE: Final = {SQLITE_FILE, POSTGRESQL_FILE, MARKS, FILE}


def verify(backup: Path, tell: Callable[[int], None]) -> Manifest:
    """Read a whole backup and compare every file with its hash; `tell` gets the bytes that were read.

    Raises:
        Invalid: it is no backup, or not as it was made.
    """
    manifest = manifest_of(backup)
    check(backup, manifest.files, tell)
    return manifest


def restore(backup: Path, data_dir: Path, keys: Path | None, tell: Callable[[int], None]) -> Manifest:
    """Make a hub in `data_dir`, which is empty, or not there, or has the keys in it and nothing else.

    The settings come last: they are what makes a folder a hub, so an attempt that was broken off is no hub.

    Args:
        backup: the folder of the backup.
        data_dir: where the hub is to be.
        keys: the hub's keys, where neither the backup nor the folder has them.
        tell: gets the bytes that were read to verify.

    Raises:
        Invalid: it is no backup, or not as it was made, or the keys are another hub's.
        Conflict: there is something in the folder, or in the PostgreSQL database that the settings name.
        NotReady: there is no pg_restore.
        OSError: the disk does not take it.
    """
    there = keys_folder(data_dir)
    if data_dir.exists() and any(each != there for each in data_dir.iterdir()):
        raise Conflict(f"{data_dir} is not empty", remedy="move it away, or name another folder with --data-dir")
    if there.exists():
        if keys is not None:
            raise Conflict(f"there are keys in {data_dir} already", remedy="leave out --keys")
        keys = there
    manifest = verify(backup, tell)
    read = settings.parse((backup / FILE).read_text(), str(backup / FILE))
    _check_keys(manifest, keys or backup / KEYS)
    make_private_folder(data_dir)
    if keys not in (None, there):
        into = Copier(keys_folder(data_dir), None, ())
        for each in sorted(each for each in keys.iterdir() if each.is_file()):
            into.add(each, each.name)
    into = Copier(data_dir, None, ())
    for path in (copied.path for copied in manifest.files):
        if path not in _ELSEWHERE and not (keys is not None and path.startswith(f"{KEYS}/")):
            into.add(backup / path, _place_of(path, read))
    _load_database(backup, manifest, data_dir, read, into)
    into.add(backup / FILE, FILE)
    return manifest


def _place_of(path: str, read: HubSettings) -> str:
    """Where in the data directory a file of a backup belongs."""
    room, slash, rest = path.partition("/")
    return f"{read.lake.path}{slash}{rest}" if room == LAKE else path


def _check_keys(manifest: Manifest, keys: Path) -> None:
    if not keys.is_dir():
        raise Invalid(
            "the hub's keys are not in this backup",
            remedy="bring them back first: farshore-hub keys restore FILE --data-dir DIR",
        )
    if (found := HubKeys.load(keys).hub.hex()) != manifest.hub:
        raise Invalid(f"the keys in {keys} are those of the hub {found}, the backup is of {manifest.hub}")


def _load_database(backup: Path, manifest: Manifest, data_dir: Path, read: HubSettings, into: Copier) -> None:
    url = make_url(database_url(data_dir, read))
    if manifest.database == "postgresql":
        load_postgresql(backup / POSTGRESQL_FILE, url)
    else:
        into.add(backup / SQLITE_FILE, SQLITE_FILE)
