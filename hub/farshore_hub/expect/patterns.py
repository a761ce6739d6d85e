"""Patterns of names: `*` is anything, `?` one character. As in `boiler*`."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Final

MAX_CHARS: Final = 127
_PATTERN: Final = rf"[a-z0-9._*?-]{{1,{MAX_CHARS}}}"
_ALLOWED: Final = re.compile(_PATTERN)
PATTERN: Final = f"^{_PATTERN}$"
"""The whole of a pattern of names, for descriptions of interfaces."""


def check_pattern(text: str) -> str:
    """Return `text` if it can match names of sites or streams.

    Raises:
        ValueError: with the rule in its text.
    """
    if not _ALLOWED.fullmatch(text):
        raise ValueError(
            f"{text[:40]!r} is not a pattern of names: use a-z, 0-9, '-', '_' and '.', '*' for anything and '?' for "
            "one character, as in 'pump-*'"
        )
    return text


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern."""
    return pattern == "*" or fnmatchcase(name, pattern)
