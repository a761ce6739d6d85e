"""A configuration as a folder on disk, as it is kept in git."""

from __future__ import annotations

from pathlib import Path

from farshore_hub.errors import Invalid
from farshore_hub.orders.layers import MAX_FILE_CHARS, MAX_FILES


def read_folder(folder: Path) -> dict[str, str]:
    """Every TOML file below a folder, path to text; what begins with a dot is left alone.

    Raises:
        Invalid: it cannot be read.
    """
    if not folder.is_dir():
        raise Invalid(f"{folder} is no folder", remedy="name the one with fleet.toml, groups/ and sites/")
    found = sorted(path for path in folder.rglob("*.toml") if not _is_hidden(path.relative_to(folder)))
    if len(found) > MAX_FILES:
        raise Invalid(f"{folder} has more than {MAX_FILES} files: is this the right folder?")
    return {path.relative_to(folder).as_posix(): _text(path) for path in found}


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read(MAX_FILE_CHARS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from None
