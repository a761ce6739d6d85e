"""What a backup says of itself, and which backups are kept. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from farshore_hub.errors import Invalid

FORMAT: Final = 1
FILE: Final = "manifest.json"
MAX_BYTES: Final = 256 * 1024 * 1024
"""A million files."""

_NAME: Final = re.compile(r"farshore-[0-9a-f]{16}-[0-9]{8}T[0-9]{12}Z")


class CopiedFile(Struct, frozen=True):
    """A file of a backup; `path` is relative to the backup, with slashes."""

    path: str
    size: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Manifest(Struct, frozen=True):
    """What a backup says of itself.

    Attributes:
        hub: the hub's id in hex.
        made_us: as of when the database is; the lake is as of then or later.
        program: the version of farshore that made it.
        database: which database it was.
        schema: the version of the database.
        has_keys: whether the hub's keys are in it.
        lake: where the lake is if it is not in it, in an object store.
    """

    format: Literal[1]
    hub: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    made_us: int
    program: str
    database: Literal["sqlite", "postgresql"]
    schema: str
    has_keys: bool
    files: list[CopiedFile]
    lake: str = ""

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(each.size for each in self.files)

    def write(self) -> bytes:
        """As JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def read_manifest(raw: bytes, where: str) -> Manifest:
    """Read a manifest. No path in it leads out of the backup.

    Raises:
        Invalid: it is none, or of another format.
    """
    try:
        found = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            f"{where} is not the manifest of a backup that this farshore-hub can read: {error}",
            remedy="take another backup, or the farshore-hub that made it",
        ) from None
    for each in found.files:
        if not _is_inside(each.path):
            raise Invalid(f"{where} names a file outside of the backup: {each.path[:200]!r}")
    if len({each.path for each in found.files}) < len(found.files):
        raise Invalid(f"{where} names a file twice")
    return found


def _is_inside(given: str) -> bool:
    path = PurePosixPath(given)
    is_plain = str(path) == given and "\0" not in given and given not in {".", FILE}
    return is_plain and not path.is_absolute() and ".." not in path.parts


def name_of(hub: str, made_us: int) -> str:
    """The name of a backup's folder; of one hub the names sort as the backups were made."""
    made = datetime.fromtimestamp(made_us // 1_000_000, UTC)
    return f"farshore-{hub}-{made:%Y%m%dT%H%M%S}{made_us % 1_000_000:06}Z"


def is_name(name: str, hub: str) -> bool:
    """Whether a folder of that name is a backup of that hub."""
    return _NAME.fullmatch(name) is not None and name.startswith(f"farshore-{hub}-")


def too_many(names: Sequence[str], keep: int) -> list[str]:
    """Which of a hub's backups go when so many of the newest are kept."""
    return sorted(names)[: max(0, len(names) - keep)]
