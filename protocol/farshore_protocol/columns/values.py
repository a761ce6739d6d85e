"""What a record may hold, and the columns that records are turned into."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import eq, itemgetter
from typing import Any, Final, TypeAlias, Union, cast


class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __copy__(self) -> Missing:
        return self

    def __deepcopy__(self, memo: object) -> Missing:
        return self

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""Stands in a column where a record does not have the key. A key that holds null is something else."""

Value: TypeAlias = Union[bool, int, float, str, bytes, list["Value"], dict[str, "Value"], None]  # noqa: UP007  strings have no |
Cell: TypeAlias = Value | Missing


class Kind(enum.IntEnum):
    """The types of cells. The numbers are part of the format."""

    NULL = 0
    BOOL = 1
    INT = 2
    FLOAT = 3
    STR = 4
    DICT = 5
    LIST = 6
    BIGINT = 7
    BYTES = 8
    MISSING = 9


KIND_OF_TYPE: Final[dict[type, Kind]] = {
    type(None): Kind.NULL,
    bool: Kind.BOOL,
    int: Kind.INT,
    float: Kind.FLOAT,
    str: Kind.STR,
    dict: Kind.DICT,
    list: Kind.LIST,
    bytes: Kind.BYTES,
    Missing: Kind.MISSING,
}


@dataclass(slots=True)
class Columns:
    """Records turned on their side: one list per key.

    Attributes:
        count: how many records.
        fields: per key, in the order in which the keys were first seen, one cell for each record.
    """

    count: int
    fields: dict[str, list[Cell]]

    @classmethod
    def from_records(cls, records: Sequence[Mapping[str, Value]]) -> Columns:
        """The columns of `records`. Cheapest when all records have the same keys."""
        if not records:
            return cls(0, {})
        keys = list(records[0])
        if all(map(eq, map(len, records), repeat(len(keys)))):
            try:
                return cls(len(records), {key: list(map(itemgetter(key), records)) for key in keys})
            except KeyError:
                pass
        union = dict.fromkeys(key for shape in dict.fromkeys(map(tuple, records)) for key in shape)
        return cls(len(records), {key: [record.get(key, MISSING) for record in records] for key in union})

    @classmethod
    def concat(cls, parts: Sequence[Columns]) -> Columns:
        """The records of all `parts`, one after the other."""
        joined = cls(0, {})
        for part in parts:
            joined._append(part)
        return joined

    def _append(self, part: Columns) -> None:
        for key, column in part.fields.items():
            self.fields.setdefault(key, [MISSING] * self.count).extend(column)
        self.count += part.count
        for column in self.fields.values():
            column.extend(repeat(MISSING, self.count - len(column)))

    def records(self) -> list[dict[str, Value]]:
        """One mapping per record, without the keys that the record does not have."""
        if not self.fields:
            return [{} for _ in range(self.count)]
        keys = tuple(self.fields)
        rows = zip(*self.fields.values(), strict=True)
        if any(MISSING in column for column in self.fields.values()):
            return [{key: cell for key, cell in zip(keys, row, strict=True) if cell is not MISSING} for row in rows]
        return [dict(zip(keys, row)) for row in cast("Any", rows)]  # noqa: B905  strict costs a tenth of the time

    def slice(self, start: int, stop: int) -> Columns:
        """The records from `start` up to but without `stop`, as for a list, and the keys that these have."""
        start, stop, _ = slice(start, stop).indices(self.count)
        cut = {key: column[start:stop] for key, column in self.fields.items()}
        fields = {key: part for key, part in cut.items() if any(cell is not MISSING for cell in part)}
        return Columns(max(0, stop - start), fields)
