"""What people do with merged tables: look, change rows, settle conflicts. Blocking; for API, page and commands.

An edit is a change like a site's, merged by the same policies, and kept with the name of whoever made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.merge import edits
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Rules
from farshore_hub.merge.statements import NEVER, Statements
from farshore_hub.merge.types import shown
from farshore_hub.merged.finding import found_table, opened_table
from farshore_hub.merged.misfits import MisfitDesk
from farshore_hub.merged.reference import ReferenceDesk
from farshore_hub.merged.row import By, EditedRow
from farshore_hub.merged.structure import view_of
from farshore_hub.merged.table import rows_of
from farshore_hub.merged.views import CellView, ColumnView, ConflictView, EditedView, EditView, TableView, conflict_view
from farshore_hub.store import merge as store
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.merge import AskedConflicts, MergedTable
from farshore_hub.texts import exact_json
from farshore_hub.texts.tables import plain
from farshore_protocol.ports import Clock


@dataclass(frozen=True, slots=True)
class TableDesk:
    """Where people look after merged tables; `rules` are those that are declared."""

    engine: Engine
    clock: Clock
    rules: Mapping[str, Rules] = field(default_factory=dict)

    @property
    def misfits(self) -> MisfitDesk:
        """Where misfits are looked after."""
        return MisfitDesk(self.engine, self.clock, self.rules)

    @property
    def reference(self) -> ReferenceDesk:
        """Where tables are looked after that the hub itself fills."""
        return ReferenceDesk(self.engine, self.clock, self.rules)

    def tables(self) -> list[TableView]:
        """All merged tables, by name."""
        with reading(self.engine) as connection:
            found = store.tables(connection)
        return [self._table_view(each) for each in found]

    def rows(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Rows of a table, in the order of their key, with the present names of its columns.

        Raises:
            Unknown: there is no such table.
        """
        with reading(self.engine) as connection:
            table_id, layout = found_table(connection, name)
            # As it is declared; as it is usual where it no longer is.
            rows = rows_of(connection, table_id, layout, self.rules.get(name, Rules()), limit)
        return [{column: plain(value) for column, value in row.items()} for row in rows]

    def page(self, name: str, search: str, start: int, limit: int) -> list[dict[str, Any]]:
        """Rows whose key begins with that text, from the one at `start` on, in the order of the key.

        Raises:
            Unknown: there is no such table.
        """
        with reading(self.engine) as connection:
            table_id, layout = found_table(connection, name)
            if not layout.key:
                return []
            statements = Statements(table_id, layout, self.rules.get(name, Rules()))
            found = connection.execute(statements.searched(search, start, limit)).mappings()
            return [{column: plain(value) for column, value in row.items()} for row in found]

    def row(self, name: str, key: Sequence[Any]) -> list[CellView]:
        """The cells of a row, each with who wrote it and when.

        Raises:
            Unknown: there is no such table or row.
            Invalid: the key does not fit.
        """
        with reading(self.engine) as connection:
            table_id, layout = found_table(connection, name)
            try:
                wanted = edits.stored_key(edits.read_key(key, layout), layout)
            except edits.BadEdit as error:
                raise Invalid(str(error)) from None
            statements = Statements(table_id, layout, self.rules.get(name, Rules()))
            row = connection.execute(statements.one(wanted)).mappings().one_or_none() if layout.key else None
            names = store.site_names(connection)
        if row is None:
            raise Unknown("there is no row with this key")
        return [
            CellView(
                column=each.name,
                value=shown(row[f"c{place}_shown"], each.type),
                at_us=row[f"c{place}_at"] if row[f"c{place}_at"] > NEVER else None,
                site=names.get(row[f"c{place}_by"]),
                is_there=bool(row["is_present"]),
            )
            for place, each in enumerate(layout.cells)
        ]

    def layout(self, name: str) -> Layout:
        """What a table looks like.

        Raises:
            Unknown: there is no such table.
        """
        with reading(self.engine) as connection:
            return found_table(connection, name)[1]

    def edits(self, name: str, limit: int) -> list[EditView]:
        """What people changed, the newest first.

        Raises:
            Unknown: there is no such table.
        """
        with reading(self.engine) as connection:
            table_id, _ = found_table(connection, name)
            found = store.edits_of(connection, table_id, limit)
        return [_edit_view(each) for each in found]

    def change(self, name: str, key: Sequence[Any], cells: Mapping[str, Any], by: By) -> EditedView:
        """Write cells of a row; the row is made if there is none.

        Args:
            name: of the table.
            key: a value for each column of the key.
            cells: by the name of the column.
            by: who does it.

        Raises:
            Unknown: there is no such table.
            Conflict: it is not declared, or nobody has said what it looks like.
            Invalid: the key or a value does not fit.
        """
        with self._edited(name, key, by) as row:
            row.write(cells)
        return row.told

    def delete(self, name: str, key: Sequence[Any], by: By) -> EditedView:
        """Delete a row.

        Raises:
            Unknown: there is no such table or row.
            Conflict, Invalid: as of `change`.
        """
        with self._edited(name, key, by) as row:
            if not row.is_there:
                raise Unknown("there is no row with this key")
            row.remove()
        return row.told

    def conflicts(self, asked: AskedConflicts) -> list[ConflictView]:
        """Values that have lost, the newest first."""
        with reading(self.engine) as connection:
            return [conflict_view(each) for each in store.asked_conflicts(connection, asked)]

    def conflict(self, number: int) -> ConflictView:
        """One of them.

        Raises:
            Unknown: there is none of that number.
        """
        with reading(self.engine) as connection:
            return conflict_view(_found_conflict(connection, number))

    def undo(self, number: int, by: By) -> EditedView:
        """Put a value that has lost back, as a change of the hub; a row that was deleted is made again.

        Raises:
            Unknown: there is no conflict of that number.
            Conflict: it was undone already, or the value would lose again by the column's policy.
        """
        with reading(self.engine) as connection:
            lost = _found_conflict(connection, number)
        if lost["state"] == store.UNDONE:
            raise Conflict(f"conflict {number} was undone already")
        with self._edited(lost["table"], json.loads(lost["key"]), by) as row:
            row.put_back(lost["column"], _value_of(lost["lost"]))
            row.settle(number, store.UNDONE)
        return row.told

    def resolve(self, number: int, by: By, *value: Any) -> EditedView:  # noqa: ANN401 - any value
        """Decide what stands in a cell that waits for it: `value`, or what stands there now.

        Raises:
            Unknown: there is no conflict of that number.
            Conflict: nobody has to resolve it.
            Invalid: the value does not fit.
        """
        with reading(self.engine) as connection:
            found = _found_conflict(connection, number)
        if found["state"] != store.OPEN:
            raise Conflict(
                f"conflict {number} is {found['state']}", remedy="farshore-hub tables undo puts a value back"
            )
        with self._edited(found["table"], json.loads(found["key"]), by) as row:
            if not row.is_there:
                raise Conflict("the row is gone")
            if value:
                row.write({found["column"]: value[0]})
            else:
                row.keep(found["column"])
            row.settle(number, store.RESOLVED)
        return row.told

    def _table_view(self, table: MergedTable) -> TableView:
        rules = self.rules.get(table.name, Rules())
        keys = [ColumnView(name=each.name, type=each.type, key=True, policy=None) for each in table.layout.key]
        cells = [ColumnView(name=each.name, type=each.type, key=False, policy=rules.of(each.names).value)
                 for each in table.layout.cells]  # fmt: skip
        counts = {
            "sites": table.sites,
            "batches": table.batches,
            "conflicts": table.conflicts,
            "open": table.open,
            "misfits": table.misfits,
        }
        return TableView(name=table.name, view=view_of(table.name), columns=[*keys, *cells], **counts)

    @contextmanager
    def _edited(self, name: str, key: Sequence[Any], by: By) -> Iterator[EditedRow]:
        """A row in a transaction of its own."""
        by.check()
        try:
            with writing(self.engine) as connection:
                now_us = self.clock.now_us()
                yield EditedRow(connection, opened_table(connection, name, self.rules, now_us), key, by, now_us)
        except edits.BadEdit as error:
            raise Invalid(str(error)) from None


def _found_conflict(connection: Connection, number: int) -> dict[str, Any]:
    found = store.conflict(connection, number)
    if found is None:
        raise Unknown(f"there is no conflict {number}", remedy="farshore-hub tables conflicts lists them")
    return found


def _value_of(written: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any value
    return None if written["value"] is None else exact_json.loads(written["value"])


def _edit_view(row: Mapping[str, Any]) -> EditView:
    change: Any = exact_json.loads(row["change"])
    return EditView(
        id=row["id"],
        op=change["op"],
        key=[plain(each) for each in change["key"].values()],
        cells={name: plain(value) for name, value in change["cells"].items()},
        at_us=row["at"],
        made_us=row["made_us"],
        made_by=row["made_by"],
        reason=row["reason"],
    )
