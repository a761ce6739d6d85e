"""Sizes ("1 GiB") and durations ("30 s", "7 d") of the settings file.

A bare number is bytes or seconds. Bounds are part of the kind, so that a message can name them in the file's own units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from farshore_agent.settings.read import shown
from farshore_agent.settings.table import Reading, Wrong

BYTES: Final = {"B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30, "TiB": 2**40}
SECONDS: Final = {"ms": 0.001, "s": 1, "min": 60, "h": 3_600, "d": 86_400}

KIB: Final = BYTES["KiB"]
MIB: Final = BYTES["MiB"]
TIB: Final = BYTES["TiB"]
MINUTE_S: Final = SECONDS["min"]
DAY_S: Final = SECONDS["d"]

_QUANTITY: Final = r"([0-9]+(?:\.[0-9]+)?) ?({units})"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit, between two bounds; a `Kind`."""

    low: float
    high: float
    units: Mapping[str, float]
    whole: bool
    example: str

    def read(self, given: object, _at: tuple[str, ...], _reading: Reading) -> float:
        """As in `Kind`."""
        return self.parse(given)

    def parse(self, given: object) -> float:
        """The value in bytes or seconds.

        Raises:
            Wrong: not a quantity, or out of bounds; says what is expected.
        """
        amount = self._amount(given)
        if not self.low <= amount <= self.high:
            raise Wrong(f"{shown(given)} is not between {self.shown(self.low)} and {self.shown(self.high)}")
        return int(amount) if self.whole else amount

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        number = {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}
        text = {"type": "string", "pattern": f"^{self._pattern()}$", "examples": [self.example]}
        return {"anyOf": [text, number]}

    def _amount(self, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        match = re.fullmatch(self._pattern(), value) if isinstance(value, str) else None
        if match is None:
            raise Wrong(f"{shown(value)} is not a number with one of {', '.join(self.units)}, such as {self.example!r}")
        return float(match[1]) * self.units[match[2]]

    def _pattern(self) -> str:
        return _QUANTITY.format(units="|".join(self.units))

    def shown(self, amount: float) -> str:
        """An amount as a file would have it."""
        exact = [unit for unit, size in self.units.items() if amount >= size and amount % size == 0]
        unit = max(exact, key=self.units.__getitem__, default=next(iter(self.units)))
        return f"{amount / self.units[unit]:g} {unit}"


def size(low: int, high: int) -> Quantity:
    """Bytes: an `int`."""
    return Quantity(low, high, BYTES, whole=True, example="64 MiB")


def duration(low: float, high: float) -> Quantity:
    """Seconds: a `float`."""
    return Quantity(low, high, SECONDS, whole=False, example="30 s")
