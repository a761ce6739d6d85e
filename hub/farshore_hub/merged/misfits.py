"""What people do with changes that did not fit: look at them, say what they mean, try them once more. Blocking."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.merge import mapping
from farshore_hub.merge.mapping import MapKind, Mapped
from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merged.finding import found_table, opened_table
from farshore_hub.merged.row import By
from farshore_hub.merged.table import OpenTable
from farshore_hub.merged.views import MappingView, MisfitView, TriedView, misfit_view
from farshore_hub.store import deeds
from farshore_hub.store import misfits as store
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.misfits import AskedMisfits
from farshore_hub.texts import exact_json
from farshore_protocol.ports import Clock

PIECE: Final = 2_000
"""Misfits that are tried in one transaction."""

MAX_MAPPED: Final = 1_000
"""Declarations of one table."""

_NUMBER: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class MisfitDesk:
    """Where people look after misfits; `rules` are those of the tables that are declared."""

    engine: Engine
    clock: Clock
    rules: Mapping[str, Rules]

    def listed(self, asked: AskedMisfits) -> list[MisfitView]:
        """Misfits, the newest batch first.

        Raises:
            Unknown: there is no such table.
        """
        with reading(self.engine) as connection:
            if asked.table:
                found_table(connection, asked.table)
            return [misfit_view(each) for each in store.asked_misfits(connection, asked)]

    def misfit(self, number: str) -> MisfitView:
        """One of them, by its `id`.

        Raises:
            Unknown: there is none.
        """
        batch, place = place_of(number)
        with reading(self.engine) as connection:
            found = store.misfit(connection, batch, place)
        if found is None:
            raise Unknown(f"there is no misfit {number}", remedy="farshore-hub tables misfits lists them")
        return misfit_view(found)

    def mappings(self, name: str) -> list[MappingView]:
        """What was declared for a table, the newest first.

        Raises:
            Unknown: there is no such table.
        """
        with reading(self.engine) as connection:
            _, layout = found_table(connection, name)
        return [MappingView.model_validate(each) for each in reversed(layout.mapped)]

    def declare(self, name: str, column: str, kind: MapKind, to: Any, by: By) -> TriedView:  # noqa: ANN401 - any value
        """Say what becomes of values of a column that do not fit, and try all misfits of the table once more.

        Args:
            name: of the table.
            column: as a site calls it.
            kind: what becomes of such a value.
            to: of a rename the other column, of a default the value; else it does not matter.
            by: who says so.

        Raises:
            Unknown: there is no such table.
            Conflict: it is not declared, or nobody has said what it looks like.
            Invalid: the declaration does not go with the table.
        """
        by.check()
        now_us = self.clock.now_us()
        mapped = Mapped(column, kind, _said(kind, to), now_us, by.name, by.reason)
        with writing(self.engine) as connection:
            table = opened_table(connection, name, self.rules, now_us)
            self._check(table, mapped)
            table.map(connection, mapped)
            text = f"{column} to {mapped.to}" if mapped.to else column
            said = DeedRow(now_us, by.name, f"table {name}", str(kind), f"{text}: {by.reason}" if by.reason else text)
            deeds.note(connection, said)
        return self._try(name)

    def replay(self, name: str) -> TriedView:
        """Try all misfits of a table once more, as after its policy was changed in hub.toml.

        Raises:
            Unknown: there is no such table.
            Conflict: it is not declared, or nobody has said what it looks like.
        """
        with writing(self.engine) as connection:
            table = opened_table(connection, name, self.rules, self.clock.now_us())
            store.try_all(connection, table.id)
        return self._try(name)

    def _try(self, name: str) -> TriedView:
        """Piece by piece; what is left when this is killed is done by the hub's own loop."""
        with reading(self.engine) as connection:
            before = store.waiting(connection, found_table(connection, name)[0])
        while self._try_some(name):
            pass
        with reading(self.engine) as connection:
            waiting = store.waiting(connection, found_table(connection, name)[0])
        return TriedView(merged=max(0, before - waiting), waiting=waiting)

    def _try_some(self, name: str) -> int:
        with writing(self.engine) as connection:
            table = opened_table(connection, name, self.rules, self.clock.now_us())
            return table.try_again(connection, PIECE, self.clock.now_us())

    @staticmethod
    def _check(table: OpenTable, mapped: Mapped) -> None:
        if len(table.layout.mapped) >= MAX_MAPPED:
            raise Conflict(f"a table has at most {MAX_MAPPED} declarations")
        try:
            mapping.check(mapped, table.layout)
        except mapping.Unfit as error:
            raise Invalid(str(error)) from None
        place = table.layout.place_of(mapped.column)
        if mapped.kind is MapKind.WIDEN and place is not None:
            policy = table.statements.declared[place]
            if policy in {Policy.SUM, Policy.SET}:
                raise Invalid(f"{mapped.column} follows the policy {policy}, which needs the type that it has")


def place_of(number: str) -> tuple[int, int]:
    """A batch and a place in it, as the `id` of a misfit has them.

    Raises:
        Unknown: it is none.
    """
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise Unknown(f"{number[:40]!r} is not BATCH-PLACE", remedy="farshore-hub tables misfits lists them")
    return int(found[1]), int(found[2])


def _said(kind: MapKind, to: Any) -> str:  # noqa: ANN401 - any value
    if kind is MapKind.RENAME:
        return str(to or "")
    if kind is not MapKind.DEFAULT:
        return ""
    try:
        return exact_json.dumps(exact_json.loads(json.dumps(to)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Invalid("the default cannot be read") from None
