"""What a merged table looks like: which columns the sites' tables have, by which names, and where they stand. Pure.

Columns are known by their place, which never changes. A site that has renamed a column, and one that has not yet, mean
the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from farshore_hub.merge.types import Type, type_of


class Misfit(ValueError):
    """A schema that the merged table cannot take in; the text says why."""


class Column(msgspec.Struct, frozen=True, array_like=True):
    """A column. The last of its names is the present one."""

    names: tuple[str, ...]
    type: Type

    @property
    def name(self) -> str:
        """As it is called now."""
        return self.names[-1]


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """A merged table's columns.

    Attributes:
        key: the columns that name a row, in their order.
        cells: the others; a column's place is its index.
        schemas: fingerprints (hexadecimal) of the schemas that were taken in.
        refused: fingerprints of those that were not, and why.
    """

    key: tuple[Column, ...] = ()
    cells: tuple[Column, ...] = ()
    schemas: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    def with_schema(self, record: Mapping[str, Any]) -> Layout:
        """The layout after a site has announced a schema.

        Raises:
            Misfit: its key has another number or other types of columns.
        """
        fingerprint, key_names = str(record["schema"]), [str(name) for name in record["key_columns"]]
        if fingerprint in self.schemas:
            return self
        declared = {str(each["name"]): type_of(str(each["type"])) for each in record["columns"]}
        renamed = {str(old): str(new) for old, new in (record.get("renamed") or {}).items()}
        cells = list(self.cells)
        for name, type_ in declared.items():
            if name not in key_names:
                _take_in(cells, name, type_, [old for old, new in renamed.items() if new == name])
        key = self._key(key_names, declared)
        return Layout(key, tuple(cells), (*self.schemas, fingerprint), self.refused)

    def without(self, fingerprint: str, why: str) -> Layout:
        """The layout after a schema that does not fit; changes under it cannot be merged."""
        if fingerprint in dict(self.refused):
            return self
        return Layout(self.key, self.cells, self.schemas, (*self.refused, (fingerprint, why)))

    def _key(self, names: list[str], declared: Mapping[str, Type]) -> tuple[Column, ...]:
        types = [declared[name] for name in names]
        if not self.key:
            return tuple(Column((name,), type_) for name, type_ in zip(names, types, strict=True))
        if [each.type for each in self.key] != types:
            known = ", ".join(f"{each.name} {each.type}" for each in self.key)
            raise Misfit(f"its key is {', '.join(names)}, and that of the merged table {known}")
        return tuple(
            each if name in each.names else Column((*each.names, name), each.type)
            for each, name in zip(self.key, names, strict=True)
        )


def _take_in(cells: list[Column], name: str, type_: Type, former: Iterable[str]) -> None:
    """Find the column by this name or a former one, or add it.

    Raises:
        Misfit: it is there with another type.
    """
    for place, each in enumerate(cells):
        if name in each.names or any(old in each.names for old in former):
            names = each.names if name in each.names else (*each.names, name)
            if each.type is not type_:
                raise Misfit(f"its column {name} is {type_}, and that of the merged table {each.type}")
            cells[place] = Column(names, each.type)
            return
    cells.append(Column((name,), type_))
