"""What a dictionary knows of a stream: the columns of its records, and their text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from farshore_protocol.columns.plan import Path
from farshore_protocol.columns.values import Kind


@dataclass(slots=True)
class Leaf:
    """A column of integers, floats or texts without gaps, which later columns can refer to."""

    kind: Kind
    path: Path
    values: list[Any]


class History:
    """Earlier records of a stream, as far as they help to write later ones.

    Attributes:
        prefix: the structure and text of the earlier records, which zstd may refer back to.
    """

    def __init__(self, leaves: list[Leaf], prefix: bytes) -> None:
        self.prefix = prefix
        self._values = {leaf.path: leaf.values for leaf in leaves if leaf.kind is not Kind.FLOAT}
        self._distinct: dict[Path, list[Any]] = {}
        self._tables: dict[Path, dict[Any, int]] = {}

    def values(self, path: Path) -> list[Any]:
        """The column at `path`, one value per record that has it."""
        return self._values.get(path, [])

    def distinct(self, path: Path) -> list[Any]:
        """The different values of the column, in the order in which they were first seen."""
        known = self._distinct.get(path)
        if known is None:
            known = self._distinct[path] = list(dict.fromkeys(self.values(path)))
        return known

    def table(self, path: Path) -> dict[Any, int]:
        """The different values of the column, numbered from 1."""
        table = self._tables.get(path)
        if table is None:
            table = self._tables[path] = {value: at for at, value in enumerate(self.distinct(path), 1)}
        return table
