"""What people do with tables that the hub itself fills, as with prices: define them, load their rows. Blocking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from farshore_hub.errors import Conflict, Invalid
from farshore_hub.merge.definition import BadDefinition, announced
from farshore_hub.merge.edits import BadEdit
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Rules
from farshore_hub.merge.types import Type
from farshore_hub.merged.finding import opened_table
from farshore_hub.merged.loading import load
from farshore_hub.merged.row import By
from farshore_hub.merged.table import OpenTable
from farshore_hub.merged.views import LoadedView
from farshore_hub.store import deeds
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import writing
from farshore_protocol.ports import Clock


@dataclass(frozen=True, slots=True)
class ReferenceDesk:
    """Where such tables are looked after; `rules` are those of the tables that are declared."""

    engine: Engine
    clock: Clock
    rules: Mapping[str, Rules]

    def define(self, name: str, key: Mapping[str, Type], cells: Mapping[str, Type], by: By) -> None:
        """Make a table as if a site had announced it; one that is there gets the columns that it lacks.

        Args:
            name: of the table, which has to be declared.
            key: the columns that tell one row from another, in their order.
            cells: the others.
            by: who does it.

        Raises:
            Conflict: the table is not declared, or is there with another key.
            Invalid: there can be no such table.
        """
        by.check()
        rules = self.rules.get(name)
        if rules is None:
            raise Conflict(f"the table {name[:80]} is not declared", remedy=f"write [tables.{name[:80]}] into hub.toml")
        try:
            said = announced(key, cells)
        except BadDefinition as error:
            raise Invalid(str(error)) from None
        now_us = self.clock.now_us()
        with writing(self.engine) as connection:
            table = OpenTable.opened(connection, name, rules, now_us)
            _check_key(table.layout, key, name)
            table.attend(connection)
            table.take_in(connection, [said])
            columns = ", ".join(f"{column} {type_}" for column, type_ in (*key.items(), *cells.items()))
            deeds.note(connection, DeedRow(now_us, by.name, f"table {name}", "define", columns))

    def load(self, name: str, rows: Iterable[Mapping[str, Any]], by: By, *, replace: bool = False) -> LoadedView:
        """Write many rows in one transaction; only what differs becomes a change.

        Args:
            name: of the table.
            rows: each with its key and some cells, by the names of their columns.
            by: who does it.
            replace: whether rows that are not among them are deleted.

        Raises:
            Unknown: there is no such table.
            Conflict: it is not declared, or nobody has said what it looks like.
            Invalid: a row does not fit; then nothing is written.
        """
        by.check()
        now_us = self.clock.now_us()
        try:
            with writing(self.engine) as connection:
                table = opened_table(connection, name, self.rules, now_us)
                return load(connection, table, rows, by, now_us, replace=replace)
        except BadEdit as error:
            raise Invalid(str(error)) from None


def _check_key(layout: Layout, key: Mapping[str, Type], name: str) -> None:
    """See whether a table that is there has that key; a site may rename a column of it, people by chance may not."""
    there = [(each.name, each.type) for each in layout.key]
    if there and there != [*key.items()]:
        columns = ", ".join(f"{column} {type_}" for column, type_ in there)
        raise Conflict(f"the table {name} is there with another key: {columns}")
