"""The kinds of settings: numbers, words, text, paths, lists, tables. Sizes and durations are in `units`."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farshore_agent.settings.read import closest, read_table, shown
from farshore_agent.settings.table import Kind, Reading, Table, Wrong, settings_of

At = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds."""

    low: int
    high: int

    def read(self, given: object, _at: At, _reading: Reading) -> int:
        """As in `Kind`."""
        if not isinstance(given, int) or isinstance(given, bool):
            raise Wrong(f"{shown(given)} is not a whole number")
        if not self.low <= given <= self.high:
            raise Wrong(f"{shown(given)} is not between {self.low} and {self.high}")
        return given

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, given: object, _at: At, _reading: Reading) -> bool:
        """As in `Kind`."""
        if not isinstance(given, bool):
            raise Wrong(f"{shown(given)} is not true or false")
        return given

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a length between two bounds, which a check may refuse with a ValueError.

    `pattern` is what the JSON Schema says of it; the check has the last word.
    """

    low: int = 0
    high: int = 1 << 20
    check: Callable[[str], object] | None = None
    pattern: str = ""

    def read(self, given: object, _at: At, _reading: Reading) -> str:
        """As in `Kind`."""
        if not isinstance(given, str):
            raise Wrong(f"{shown(given)} is not text")
        if not self.low <= len(given) <= self.high:
            count = f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"
            raise Wrong(f"{shown(given)} is not text of {count} characters")
        if self.check:
            try:
                self.check(given)
            except ValueError as error:
                raise Wrong(str(error)) from None
        return given

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        bounds = {"minLength": self.low, "maxLength": self.high}
        return {"type": "string", **bounds, **({"pattern": self.pattern} if self.pattern else {})}


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words; an enumeration's members for code, or the words themselves."""

    words: Mapping[str, Any]

    @classmethod
    def of(cls, *words: str) -> Word:
        """One of these."""
        return cls({word: word for word in words})

    @classmethod
    def of_enum(cls, members: type[enum.StrEnum]) -> Word:
        """One of the values of an enumeration."""
        return cls({member.value: member for member in members})

    def read(self, given: object, _at: At, _reading: Reading) -> Any:  # noqa: ANN401 - what the words stand for
        """As in `Kind`."""
        if not isinstance(given, str) or given not in self.words:
            remedy = closest(given, self.words) if isinstance(given, str) else ""
            raise Wrong(f"{shown(given)} is not one of {', '.join(self.words)}", remedy)
        return self.words[given]

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A path. A relative one starts at the folder of the settings file."""

    def read(self, given: object, _at: At, reading: Reading) -> Path:
        """As in `Kind`."""
        if not isinstance(given, str) or not given:
            raise Wrong(f"{shown(given)} is not a path")
        return Path(reading.folder, given) if reading.folder else Path(given)

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, each item of one kind; a tuple for code."""

    item: Kind

    def read(self, given: object, at: At, reading: Reading) -> tuple[Any, ...]:
        """As in `Kind`."""
        if not isinstance(given, list):
            raise Wrong(f"{shown(given)} is not a list")
        return tuple(_each(self.item, str(place), item, at, reading) for place, item in enumerate(given))

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True, slots=True)
class NamedValues:
    """A table of values of one kind under names of the user's."""

    value: Kind
    name: Kind | None = None

    def read(self, given: object, at: At, reading: Reading) -> dict[str, Any]:
        """As in `Kind`."""
        if not isinstance(given, dict):
            raise Wrong(f"{shown(given)} is not a table")
        values = {}
        for name, value in given.items():
            if self.name:
                _each(self.name, name, name, at, reading)
            values[name] = _each(self.value, name, value, at, reading)
        return values

    def schema(self) -> dict[str, Any]:
        """As in `Kind`."""
        names = {"propertyNames": self.name.schema()} if self.name else {}
        return {"type": "object", "additionalProperties": self.value.schema(), **names}


@dataclass(frozen=True, slots=True)
class Inner:
    """A table with settings of its own."""

    table: type[Table]

    def read(self, given: object, at: At, reading: Reading) -> Table | None:
        """As in `Kind`."""
        return read_table(self.table, given, at, reading, reading.defaults.get(self.table))

    def schema(self) -> dict[str, Any]:
        """As in `Kind`: a reference; `table_schema` makes what it refers to."""
        return {"$ref": f"#/$defs/{self.table.__name__}"}


def table_schema(table: type[Table]) -> dict[str, Any]:
    """The JSON Schema of a table."""
    known = list(settings_of(table))
    return {
        "type": "object",
        "description": re.split(r"\n\s*\n", table.__doc__ or "")[0],
        "properties": {each.key: each.kind.schema() for each in known},
        "required": [each.key for each in known if each.is_required],
        "additionalProperties": False,
    }


def _each(kind: Kind, name: str, given: object, at: At, reading: Reading) -> Any:  # noqa: ANN401 - a value of any kind
    path = (*at, name)
    try:
        return kind.read(given, path, reading)
    except Wrong as wrong:
        reading.wrong(path, str(wrong), wrong.remedy)
        return None
