"""Which build this is: the version, and what the builder of a package has written beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from farshore_protocol import __version__

_FILE: Final = Path(__file__).with_name("build.txt")


def described() -> str:
    """The version, and in a package the commit and the date: `0.1.0 (1a2b3c4d5e6f, 2026-11-26)`."""
    try:
        build = _FILE.read_text().strip()
    except FileNotFoundError:
        return __version__
    return f"{__version__} ({build})"
