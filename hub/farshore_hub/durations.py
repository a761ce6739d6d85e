"""Durations as people write them: `30 s`, `10 min`, `24h`, `7 d`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

_UNITS: Final = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}
_PATTERN: Final = " *([0-9]{1,8}) *(s|min|m|h|d) *"
"""Eight digits of days, as microseconds added to any date, are still a signed 64-bit integer."""

_FORM: Final = re.compile(_PATTERN)


def parse_duration_s(text: object) -> int:
    """A duration in seconds.

    Raises:
        ValueError: with the rule in its text.
    """
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{str(text)[:40]!r} is not a duration: write a whole number and s, min, h or d, as in '24 h'")
    return int(found[1]) * _UNITS[found[2]]


Seconds = Annotated[
    int, BeforeValidator(parse_duration_s), WithJsonSchema({"type": "string", "pattern": f"^{_PATTERN}$"})
]
"""A setting that is written as a duration and read as seconds."""
