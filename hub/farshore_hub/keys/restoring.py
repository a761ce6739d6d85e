"""Keys out of their backup: into an empty folder, or beside those that are there. Nothing that is there is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from farshore_hub.errors import Conflict, Invalid
from farshore_hub.fleet.files import make_private_folder
from farshore_hub.fleet.key_files import CHAIN, HUB, newest_keyring, read_chain
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.keys.archive import Contents
from farshore_shell.files import write_private


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restoration has done.

    Attributes:
        added: names of files that were missing.
        newer: the keyrings that are there are newer than those of the backup, and stay.
    """

    keys: HubKeys
    added: list[str]
    newer: bool


def restore(folder: Path, contents: Contents) -> Restored:
    """Write what is missing; the file of keyrings comes last, because it is what makes keys count.

    Raises:
        Conflict: the folder has keys of another hub, or another key under the same name.
        Invalid: the backup has no keys.
        NotReady: after it the folder has not all that it needs.
        OSError: the disk does not take it.
    """
    if HUB not in contents.files:
        raise Invalid("there are no keys in this backup")
    _check(folder, contents)
    make_private_folder(folder)
    added = []
    newer = _number(_there(folder / CHAIN)) > _number(contents.files.get(CHAIN))
    for name, content in sorted(contents.files.items(), key=lambda each: each[0] == CHAIN):
        path = folder / name
        if not path.exists() or (name == CHAIN and not newer and path.read_bytes() != content):
            write_private(path, content)
            added.append(name)
    return Restored(HubKeys.load(folder), added, newer)


def _check(folder: Path, contents: Contents) -> None:
    for name, content in contents.files.items():
        path = folder / name
        if name == CHAIN or not path.exists() or path.read_bytes() == content:
            continue
        what = "the keys of another hub are" if name == HUB else f"another or a damaged {name} is"
        raise Conflict(f"{what} in {folder}", remedy="move the folder away, or name another one with --data-dir")


def _there(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _number(chain: bytes | None) -> int:
    """Of the newest keyring; 0 where there is none that can be read."""
    try:
        return newest_keyring(read_chain(chain or b"")).number
    except ValueError:
        return 0
