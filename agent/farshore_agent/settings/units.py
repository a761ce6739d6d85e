"""Sizes ("1 GiB"), durations ("30 s", "7 d") and paths of the settings file, as types for its models.

A bare number is bytes or seconds. Bounds are part of the type, so that a message can name them in the file's
own units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

BYTES: Final = {"B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30, "TiB": 2**40}
SECONDS: Final = {"ms": 0.001, "s": 1, "min": 60, "h": 3_600, "d": 86_400}

KIB: Final = BYTES["KiB"]
MIB: Final = BYTES["MiB"]
TIB: Final = BYTES["TiB"]
MINUTE_S: Final = SECONDS["min"]
DAY_S: Final = SECONDS["d"]

_QUANTITY: Final = r"([0-9]+(?:\.[0-9]+)?) ?({units})"


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A number with a unit, between two bounds; annotates the number that it becomes."""

    low: float
    high: float
    units: Mapping[str, float]
    whole: bool
    example: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}
        text = {"type": "string", "pattern": f"^{self._pattern()}$", "examples": [self.example]}
        return {"anyOf": [text, number]}

    def parse(self, value: object) -> float:
        """The value in bytes or seconds.

        Raises:
            ValueError: not a quantity, or out of bounds; says what is expected.
        """
        amount = self._amount(value)
        if not self.low <= amount <= self.high:
            raise ValueError(f"{value!r} is not between {self._shown(self.low)} and {self._shown(self.high)}")
        return int(amount) if self.whole else amount

    def _amount(self, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        match = re.fullmatch(self._pattern(), value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"{value!r} is not a number with one of {', '.join(self.units)}, such as {self.example!r}")
        return float(match[1]) * self.units[match[2]]

    def _pattern(self) -> str:
        return _QUANTITY.format(units="|".join(self.units))

    def _shown(self, amount: float) -> str:
        exact = [unit for unit, size in self.units.items() if amount >= size and amount % size == 0]
        unit = max(exact, key=self.units.__getitem__, default=next(iter(self.units)))
        return f"{amount / self.units[unit]:g} {unit}"


def size(low: int, high: int) -> _Quantity:
    """Annotates an `int` of bytes."""
    return _Quantity(low, high, BYTES, whole=True, example="64 MiB")


def duration(low: float, high: float) -> _Quantity:
    """Annotates a `float` of seconds."""
    return _Quantity(low, high, SECONDS, whole=False, example="30 s")


@dataclass(frozen=True, slots=True)
class _FromText:
    """A path written as text. A relative one starts at the folder of the settings file."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    def parse(self, value: object, info: ValidationInfo) -> Path:
        if not isinstance(value, str | Path) or not str(value):
            raise ValueError(f"{value!r} is not a path")
        folder = (info.context or {}).get("folder")
        return Path(folder, value) if folder else Path(value)


LocalPath = Annotated[Path, _FromText()]
