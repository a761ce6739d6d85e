"""Sites that change one table, what they say of it, and a hub that merges it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text

from farshore_hub.merge.policy import Rules
from farshore_hub.merged.table import changed_rows, rows_of
from farshore_hub.merger import Merger
from farshore_hub.store import merge as store
from farshore_hub.store import misfits
from farshore_hub.store.engine import reading
from farshore_hub.store.misfits import AskedMisfits
from farshore_hub.texts import exact_json
from tests.hub.lake.stored import START_US, KeyOpener, Stored

COLUMNS: Final = [
    {"name": "id", "type": "INTEGER", "not_null": True, "default": None},
    {"name": "city", "type": "TEXT", "not_null": False, "default": None},
    {"name": "stock", "type": "INT", "not_null": False, "default": None},
    {"name": "note", "type": "", "not_null": False, "default": None},
]
CELLS: Final = ("city", "stock", "note")
_VALUES: Final[dict[str, list[Any]]] = {
    "city": ["Ulm", "Köln", "", None],
    "stock": [0, 5, -7, 2**62, None],
    "note": [1, 1.0, "1", b"\x01", None, "text"],
}


def schema_record(fingerprint: str = "aa", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any fields of a record
    record = {"at": "2026", "op": "schema", "number": 1, "hlc": 1, "schema": fingerprint}
    return {**record, "renamed": {}, "columns": COLUMNS, "key_columns": ["id"], **more}


def change(op: str, key: int, hlc: int, **cells: Any) -> dict[str, Any]:  # noqa: ANN401 - any values
    record = {"at": "2026", "op": op, "number": 0, "hlc": hlc, "schema": "aa"}
    return {**record, "key": {"id": key}, "cells": cells}


@dataclass
class Shop:
    """A site with a copy of its own; it says what it did as an agent does."""

    name: str
    chance: random.Random
    told: list[dict[str, Any]] = field(default_factory=lambda: [schema_record()])
    rows: set[int] = field(default_factory=set)

    def act(self, hlc: int, keys: int) -> None:
        key = self.chance.randrange(keys)
        if key not in self.rows:
            self.rows.add(key)
            self.told.append(change("insert", key, hlc, **{name: self._value(name) for name in CELLS}))
        elif self.chance.random() < 0.15:
            self.rows.discard(key)
            self.told.append(change("delete", key, hlc))
        else:
            names = self.chance.sample(CELLS, self.chance.randint(1, 2))
            self.told.append(change("update", key, hlc, **{name: self._value(name) for name in names}))

    def _value(self, name: str) -> Any:  # noqa: ANN401 - any value
        return self.chance.choice(_VALUES[name])


def fleet(chance: random.Random, sites: int, changes: int, keys: int) -> list[Shop]:
    """Sites that did something, at times of their own; no two changes have one stamp."""
    shops = [Shop(f"shop-{number}", chance) for number in range(sites)]
    for hlc in range(changes):
        chance.choice(shops).act(START_US - 10**9 + 7 * hlc, keys)
    return shops


def read(rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Rows of the merged table by their key; what stands as JSON is read."""
    found = {row["id"]: {name: row[name] for name in CELLS} for row in rows}
    return {key: row | {"note": row["note"] and exact_json.loads(row["note"])} for key, row in found.items()}


class Hub:
    """The hub's end: stores batches, merges, shows."""

    def __init__(self, stored: Stored, rules: Rules) -> None:
        self.stored = stored
        self.rules = rules
        self.merger = Merger(stored.engine, KeyOpener(), stored.clock, _unused, {"orders": rules})

    def send(self, site: str, records: list[dict[str, Any]]) -> None:
        """A batch arrives."""
        self.stored.add(records, stream="orders.changes", site=site)

    def merge(self) -> None:
        """Merge all that can be."""
        while self.merger.merge_waiting():
            pass

    def forget_merged(self) -> None:
        """As if it had died before it noted what it has merged."""
        with self.stored.engine.begin() as connection:
            connection.execute(text("DELETE FROM merged_batches"))

    @property
    def table(self) -> store.MergedTable:
        with reading(self.stored.engine) as connection:
            (table,) = store.tables(connection)
        return table

    def rows(self) -> list[dict[str, Any]]:
        with reading(self.stored.engine) as connection:
            table = self.table
            return rows_of(connection, table.id, table.layout, self.rules, 10_000)

    def changed(self, after: int) -> list[dict[str, Any]]:
        with reading(self.stored.engine) as connection:
            return changed_rows(connection, self.table.id, self.table.layout, self.rules, after, 10_000)

    def conflicts(self) -> list[dict[str, Any]]:
        with reading(self.stored.engine) as connection:
            return store.conflicts_of(connection, self.table.id, 10_000)

    def misfits(self) -> list[dict[str, Any]]:
        with reading(self.stored.engine) as connection:
            asked = AskedMisfits(state="", limit=10_000)
            return [dict(each._mapping) for each in misfits.asked_misfits(connection, asked)]


async def _unused(work: Any) -> Any:  # noqa: ANN401 - a Runner
    return work()
