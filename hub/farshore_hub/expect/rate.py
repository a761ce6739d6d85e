"""Rates as people write them: `1 per 10 s`, `600 per h`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from farshore_hub.texts.durations import parse_duration_s

_FORM: Final = re.compile(r" *([0-9]{1,9}) +per +([0-9]{1,8} *)?(s|min|m|h|d) *")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many records in so many seconds."""

    records: int
    seconds: int

    @property
    def per_s(self) -> float:
        """Records in a second."""
        return self.records / self.seconds

    @property
    def interval_s(self) -> float:
        """Seconds from one record to the next."""
        return self.seconds / self.records

    def __str__(self) -> str:
        return f"{self.records} per {self.seconds} s"


def parse_rate(text: object) -> Rate:
    """A rate.

    Raises:
        ValueError: with the rule in its text.
    """
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{str(text)[:40]!r} is not a rate: write it as in '1 per 10 s' or '600 per h'")
    records, seconds = int(found[1]), parse_duration_s(f"{(found[2] or '1').strip()} {found[3]}")
    if not records or not seconds:
        raise ValueError(f"{str(text)[:40]!r} is not a rate: both numbers have to be greater than 0")
    return Rate(records, seconds)
