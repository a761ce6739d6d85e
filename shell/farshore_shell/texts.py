"""Text that came from elsewhere, made fit to be shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without what would steer a terminal or turn the reading direction round."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)
