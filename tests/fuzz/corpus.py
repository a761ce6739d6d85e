"""The corpus: a folder per target, a file per case. A name says what the case is; `found-…` is one not yet named."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent.parent / "data" / "corpus"


def cases(name: str) -> list[Path]:
    """The files of a target."""
    folder = HERE / name
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.exists() else []


def add(name: str, data: bytes) -> Path:
    """Keep what a fuzzer found; returns the file."""
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
