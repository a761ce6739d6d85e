"""What a merged table looks like: which columns the sites' tables have, by which names, and where they stand. Pure.

Columns are known by their place, which never changes. A site that has renamed a column, and one that has not yet, mean
the same place. A site that declares a column by another type means it too: its values decide, each for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from farshore_hub.merge.mapping import MapKind, Mapped
from farshore_hub.merge.types import Type, type_of


class Misfit(ValueError):
    """A key that is not the merged table's; the text says why."""


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
        refused: fingerprints of those whose key is another one, and why.
        mapped: what somebody has declared for values that do not fit, in that order.
    """

    key: tuple[Column, ...] = ()
    cells: tuple[Column, ...] = ()
    schemas: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    mapped: tuple[Mapped, ...] = ()

    @property
    def known(self) -> set[str]:
        """Fingerprints of schemas that were announced."""
        return {*self.schemas, *dict(self.refused)}

    def with_schema(self, record: Mapping[str, Any]) -> Layout:
        """The layout after a site has announced a schema; one whose key does not fit is `refused`."""
        fingerprint, key_names = str(record["schema"]), [str(name) for name in record["key_columns"]]
        if fingerprint in self.known:
            return self
        declared = {str(each["name"]): type_of(str(each["type"])) for each in record["columns"]}
        renamed = {str(old): str(new) for old, new in (record.get("renamed") or {}).items()}
        keys = {name for each in self.key for name in each.names}
        cells = list(self.cells)
        for name, type_ in declared.items():
            if name not in key_names and name not in keys:
                _take_in(cells, name, type_, [old for old, new in renamed.items() if new == name])
        taken = msgspec.structs.replace(self, cells=tuple(cells))
        try:
            key = self._key(key_names, declared)
        except Misfit as error:
            return msgspec.structs.replace(taken, refused=(*self.refused, (fingerprint, str(error))))
        return msgspec.structs.replace(taken, key=key, schemas=(*self.schemas, fingerprint))

    def with_mapped(self, mapped: Mapped) -> Layout:
        """The layout after somebody has declared what becomes of values that do not fit."""
        cells = list(self.cells)
        place = self.place_of(mapped.column)
        if mapped.kind is MapKind.WIDEN and place is not None:
            cells[place] = Column(cells[place].names, Type.ANY)
        elif mapped.kind is MapKind.RENAME and mapped.to not in self.names:
            cells.append(Column((mapped.to,), Type.ANY))
        return msgspec.structs.replace(self, cells=tuple(cells), mapped=(*self.mapped, mapped))

    @property
    def names(self) -> set[str]:
        """All names that its columns have or had."""
        return {name for each in (*self.key, *self.cells) for name in each.names}

    def place_of(self, name: str) -> int | None:
        """The place of the cell that is or was called so."""
        return next((place for place, each in enumerate(self.cells) if name in each.names), None)

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
    """Find the column by this name or a former one, or add it."""
    for place, each in enumerate(cells):
        if name in each.names or any(old in each.names for old in former):
            names = each.names if name in each.names else (*each.names, name)
            cells[place] = Column(names, each.type)
            return
    cells.append(Column((name,), type_))
