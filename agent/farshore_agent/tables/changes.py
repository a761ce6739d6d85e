"""What has become of a row since it was last looked at, and the record that says so. Pure.

A record of the stream `NAME.changes`:

- `op`: `insert`, `update`, `delete`, or `schema`, which goes before the first change under another schema.
- `key`: column to value. `cells`: column to value, of an insert all, of an update what changed; a delete has none.
- `number`: counts the changes of this table at this site, without holes. `hlc`: microseconds of the hub's time as far
  as the site knows it, strictly growing.
- `at`: when the application changed it, as its machine's clock said; ISO 8601.
- `deltas`: counter to by how much an update changed it, from and to whole numbers; NULL counts as 0.
- `states`: how many earlier states of the row were passed over since the last look; only where there were any.
- `schema`: fingerprint of the table's columns and key, in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from farshore_agent.tables.schema import TableSchema
from farshore_protocol.changes import Op

Value = int | float | str | bytes | None
Cells = Mapping[str, Value]
Key = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Between a row as it was and as it is: what to say of it."""

    op: Op
    cells: dict[str, Value]


def difference(before: Cells | None, after: Cells | None) -> Difference | None:
    """What has to be said of a row; None if nothing.

    A column that is not in `before` counts as NULL there: a row looks the same after `ALTER TABLE ADD COLUMN`.
    """
    if after is None:
        return None if before is None else Difference(Op.DELETE, {})
    if before is None:
        return Difference(Op.INSERT, dict(after))
    changed = {name: value for name, value in after.items() if not are_same(before.get(name), value)}
    return Difference(Op.UPDATE, changed) if changed else None


def deltas(counters: Iterable[str], before: Cells | None, cells: Cells) -> dict[str, int]:
    """By how much counters have changed that went from whole numbers to whole numbers."""
    changed = {name: ((before or {}).get(name), cells[name]) for name in counters if name in cells}
    return {
        name: (new or 0) - (old or 0)
        for name, (old, new) in changed.items()
        if isinstance(old, int | None) and isinstance(new, int | None)
    }


def are_same(one: Value, other: Value) -> bool:
    """Whether two values are one: 1, 1.0 and '1' are three, and so are 0.0 and -0.0 two."""
    if one.__class__ is not other.__class__:
        return False
    return one == other and (one.__class__ is not float or repr(one) == repr(other))


@dataclass(slots=True)
class Stamps:
    """Numbers changes and stamps them with a hybrid logical clock (Kulkarni et al., 2014).

    It is the hub's time, as far as the site knows it, and always later than the last one: a site whose clock is a year
    ahead must not win every conflict of that year.

    Attributes:
        number, hlc: of the last change.
        offset_us: what has to be added to the site's clock to get the hub's.
    """

    number: int = 0
    hlc: int = 0
    offset_us: int = 0

    def record(self, at_us: int, op: Op, schema: TableSchema, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - a record's values
        """The next record."""
        self.number += 1
        self.hlc = max(at_us + self.offset_us, self.hlc + 1)
        return {
            "at": datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="milliseconds"),
            "op": op.value,
            "number": self.number,
            "hlc": self.hlc,
            "schema": schema.fingerprint.hex(),
            **fields,
        }


def describe(schema: TableSchema) -> list[dict[str, Any]]:
    """The columns of a schema, for the record that announces it."""
    return [
        {"name": each.name, "type": each.type, "not_null": each.not_null, "default": each.default}
        for each in schema.columns
    ]
