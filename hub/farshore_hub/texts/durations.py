"""Durations and rates as people write them: `30 s`, `10 min`, `24h`, `7 d`; `8 MiB/s`."""

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

_SIZES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_RATE_PATTERN: Final = " *([0-9]{1,8}) *(B|KiB|MiB|GiB)/s *"
_RATE_FORM: Final = re.compile(_RATE_PATTERN)


def parse_rate(text: object) -> int:
    """A rate in bytes per second.

    Raises:
        ValueError: with the rule in its text.
    """
    found = _RATE_FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None or not int(found[1]):
        raise ValueError(
            f"{str(text)[:40]!r} is not a rate: write a whole number and B/s, KiB/s, MiB/s or GiB/s, as in '8 MiB/s'"
        )
    return int(found[1]) * _SIZES[found[2]]


BytesPerSecond = Annotated[
    int, BeforeValidator(parse_rate), WithJsonSchema({"type": "string", "pattern": f"^{_RATE_PATTERN}$"})
]
"""A setting that is written as a rate and read as bytes per second."""
