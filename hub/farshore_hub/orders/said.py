"""What people say of what they do."""

from __future__ import annotations

from typing import Final

from farshore_hub.errors import Invalid

MAX_CHARS: Final = 1000


def checked_note(text: str) -> str:
    """A note that both databases can hold.

    Raises:
        Invalid: it is too long, or has a NUL in it.
    """
    if len(text) > MAX_CHARS or "\0" in text:
        raise Invalid(f"a note has at most {MAX_CHARS} characters, none of them NUL")
    return text
