"""One row of a merged table, while somebody edits it. Runs in the caller's transaction.

An edit is a change like a site's, with a stamp later than all that the row has, merged by the same policies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from farshore_hub.errors import Conflict, Invalid
from farshore_hub.merge import edits
from farshore_hub.merge.layout import Column
from farshore_hub.merge.policy import Policy
from farshore_hub.merge.sets import array_of, elements_of
from farshore_hub.merge.statements import HUB, NEVER
from farshore_hub.merge.types import Type, plain_value, stored
from farshore_hub.merged.table import OpenTable, Origin
from farshore_hub.merged.views import EditedView
from farshore_hub.store import merge as store
from farshore_hub.texts import exact_json
from farshore_hub.texts.tables import plain
from farshore_protocol.changes import Op

MAX_REASON_CHARS: Final = 1000
_MAX_NAME_CHARS: Final = 63


@dataclass(frozen=True, slots=True)
class By:
    """Who does something, and why."""

    name: str
    reason: str = ""

    @property
    def login(self) -> str:
        """The name as far as it is kept."""
        return self.name[:_MAX_NAME_CHARS]

    def check(self) -> None:
        """See whether the reason can be kept.

        Raises:
            Invalid: it is too long, or has a NUL.
        """
        if len(self.reason) > MAX_REASON_CHARS or "\0" in self.reason:
            raise Invalid(f"the reason has at most {MAX_REASON_CHARS} characters, and no NUL")


class EditedRow:
    """A row that is being edited; nobody else merges into its table meanwhile."""

    def __init__(self, connection: Connection, table: OpenTable, key: Sequence[Any], by: By, now_us: int) -> None:
        store.number(connection, table.id, 0)
        self._connection = connection
        self._table = table
        self._by = by
        self._now_us = now_us
        self._key = edits.read_key(key, table.layout)
        self._before = self._found()
        self._edit = 0

    @property
    def is_there(self) -> bool:
        """Whether there is such a row."""
        return bool(self._before and self._before["is_present"])

    @property
    def told(self) -> EditedView:
        """What has become of it."""
        row = self._before
        return EditedView(edit=self._edit, row=self._shown(row) if row and row["is_present"] else None)

    def write(self, cells: Mapping[str, Any]) -> None:
        """Write cells."""
        layout, policies = self._table.layout, self._table.statements.declared
        self._write(edits.read_cells(cells, layout, policies))

    def _write(self, read: Mapping[str, Any]) -> None:
        layout, policies = self._table.layout, self._table.statements.declared
        before = self._shown(self._before) if self._before and self.is_there else {}
        deltas = edits.moved(read, before, layout, policies)
        self._merge(Op.UPDATE if self.is_there else Op.INSERT, read, deltas=deltas)

    def put_back(self, name: str, value: Any) -> None:  # noqa: ANN401 - any value
        """Let a value that has lost stand again; of a counter or set, add it.

        Raises:
            Conflict: it would lose again.
        """
        place, column, policy = self._cell(name)
        before, held = self._before, None
        if before is not None and self.is_there:
            held = before[f"c{place}_shown"]
        if policy is Policy.SUM:
            value = (held or 0) + (value or 0)
        elif policy is Policy.SET and held is not None:
            arrays = [json.loads(held) if column.type is Type.ANY else held, value]
            value = array_of(each for array in arrays for each in elements_of(array))
        cells = {column.name: value} if self.is_there else {**self._kept(), column.name: value}
        self._write(cells)
        now = self._before[f"c{place}_shown"] if self._before else None
        if policy.has_losers and now != stored([value], column.type)[0]:
            raise Conflict(
                f"the value would lose again: {name} follows the policy {policy}",
                remedy="give the column another policy in hub.toml",
            )

    def keep(self, name: str) -> None:
        """Write what stands in a cell once more, as the hub's."""
        place, column, _ = self._cell(name)
        value = self._before[f"c{place}_shown"] if self._before else None
        self._write({column.name: plain_value(value, column.type)})

    def settle(self, number: int, state: str) -> None:
        """The edit has settled a conflict."""
        store.settle_conflict(self._connection, number, state, self._edit)

    def _cell(self, name: str) -> tuple[int, Column, Policy]:
        for place, column in enumerate(self._table.layout.cells):
            if name in column.names:
                return place, column, self._table.statements.declared[place]
        raise Conflict(f"the table has no column {name!r} any more")

    def _kept(self) -> dict[str, Any]:
        """What is left of the cells of a row that was deleted."""
        before, cells = self._before or {}, enumerate(self._table.layout.cells)
        values = {each.name: plain_value(before.get(f"c{place}"), each.type) for place, each in cells}
        return {name: value for name, value in values.items() if value is not None}

    def remove(self) -> None:
        """Delete it."""
        self._merge(Op.DELETE, {})

    def _merge(self, op: Op, cells: Mapping[str, Any], **more: Any) -> None:  # noqa: ANN401 - fields of a change
        at = self._after_all()
        change = edits.said(op, self._table.layout, self._key, cells, at) | more
        said, by = exact_json.dumps(change), self._by
        self._edit = store.add_edit(self._connection, self._table.id, said, at, self._now_us, by.login, by.reason)
        self._table.merge(self._connection, [change], Origin(HUB, at), self._now_us)
        self._before = self._found()

    def _after_all(self) -> int:
        """A stamp that is later than all that the row has: whoever edits it has seen what is there."""
        stamps = [value for name, value in (self._before or {}).items() if name.endswith("_at")]
        return max(self._now_us, max(stamps, default=NEVER) + 1)

    def _found(self) -> dict[str, Any] | None:
        found = self._table.statements.one(edits.stored_key(self._key, self._table.layout))
        row = self._connection.execute(found).mappings().one_or_none()
        return None if row is None else dict(row)

    def _shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        layout = self._table.layout
        key = {each.name: plain(row[f"k{place}"]) for place, each in enumerate(layout.key)}
        return key | {each.name: plain(row[f"c{place}_shown"]) for place, each in enumerate(layout.cells)}
