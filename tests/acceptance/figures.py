"""How a long run prints its figures for people; `--json` prints the same mapping as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FAULTS: Final = "faults"
_NAME_CHARS: Final = 24


def table(report: Mapping[str, Any]) -> str:
    """A line for each figure, and in the end what is wrong, or that nothing is."""
    lines = [
        f"  {name.replace('_', ' '):{_NAME_CHARS}}{_shown(value)}" for name, value in report.items() if name != FAULTS
    ]
    faults = report[FAULTS] or ["none: every acknowledged record is stored once, every account balances"]
    return "\n".join([*lines, *(f"  {FAULTS:{_NAME_CHARS}}{fault}" for fault in faults)])


def _shown(value: object) -> object:
    if value == "":
        return "none"
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else value
