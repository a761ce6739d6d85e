"""Labels as they are written on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from farshore_hub.errors import Invalid


def read_labels(words: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` words as labels.

    Raises:
        Invalid: one is not of that form.
    """
    read: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise Invalid(f"{word[:80]!r} is no label: write it as KEY=VALUE")
        read[key] = value
    return read
