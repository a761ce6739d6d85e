"""Sites that change one table, what they say of it, and what the merged table has to be: worked out the plain way."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merged.table import changed_rows, rows_of
from farshore_hub.merger import Merger
from farshore_hub.store import merge as store
from farshore_hub.store.engine import reading
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


def expected(shops: list[Shop], policies: dict[str, Policy]) -> dict[int, dict[str, Any]]:
    """The merged table, by the meaning of the policies. Deletes win."""
    by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in (record for shop in shops for record in shop.told if record["op"] != "schema"):
        by_key[record["key"]["id"]].append(record)
    merged = {}
    for key, records in by_key.items():
        deleted = max((each["hlc"] for each in records if each["op"] == "delete"), default=-1)
        inserted = max((each["hlc"] for each in records if each["op"] == "insert"), default=-1)
        if inserted > deleted:
            merged[key] = {name: _cell(name, records, deleted, policies) for name in CELLS}
    return merged


def _cell(name: str, records: list[dict[str, Any]], deleted: int, policies: dict[str, Policy]) -> Any:  # noqa: ANN401 - any value
    written = [(each["hlc"], each["cells"][name]) for each in records if name in each["cells"]]
    policy = policies.get(name, Policy.LAST_WRITE)
    if policy is Policy.LAST_WRITE:
        hlc, value = max(written, key=lambda one: one[0])
        return value if hlc > deleted else None
    if policy is Policy.FIRST_WRITE:
        return min(written, key=lambda one: one[0])[1]
    values = [value for _, value in written if value is not None]
    return (max if policy is Policy.MAX else min)(values, default=None)


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
            return store.misfits_of(connection, self.table.id, 10_000)


async def _unused(work: Any) -> Any:  # noqa: ANN401 - a Runner
    return work()
