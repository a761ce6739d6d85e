"""What can be read of files by whoever has them: as they are, and whatever in them is compressed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zstandard

_FRAME: Final = re.compile(re.escape(zstandard.FRAME_HEADER))
_INFLATED_BYTES: Final = 1 << 20


def files_with(folder: Path, secret: bytes) -> set[str]:
    """The files below `folder`, by their path in it, in which the secret can be read."""
    return {str(path.relative_to(folder)) for path in every_file(folder) if shows(path.read_bytes(), secret)}


def every_file(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def shows(raw: bytes, secret: bytes) -> bool:
    """Whether the secret is in the bytes, or in a zstandard frame that starts anywhere in them."""
    return secret in raw or any(secret in _inflated(raw, at.start()) for at in _FRAME.finditer(raw))


def _inflated(raw: bytes, at: int) -> bytes:
    """As much as can be inflated: the rest of a frame may be overwritten."""
    inflater, plain = zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj(), b""
    for start in range(at, min(len(raw), at + _INFLATED_BYTES), 64):
        try:
            plain += inflater.decompress(raw[start : start + 64])
        except zstandard.ZstdError:
            break
        if inflater.eof or len(plain) > _INFLATED_BYTES:
            break
    return plain
