"""An application with a database of its own, the agent that captures a table of it, and what the records add up to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from farshore_agent.settings.tables import TableSettings
from farshore_agent.tables.capture import Capture
from farshore_agent.tables.shadow import FILE, Intent, Shadow
from tests.agent.buffer.world import FakeClock, FakeRandom

ORDERS = """CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer TEXT NOT NULL, code TEXT UNIQUE, total REAL DEFAULT 0, note, photo BLOB
)"""


class Captured:
    """The application's side (`run`), the agent's side (`look`), and what somebody who gets the records would have."""

    def __init__(
        self,
        folder: Path,
        *schema: str,
        table: str = "orders",
        key: tuple[str, ...] = (),
        counters: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.database = folder / "app.db"
        self.application = sqlite3.connect(self.database, isolation_level=None)
        self.run(*(schema or (ORDERS,)))
        self.table = table
        self.clock = FakeClock()
        self.random = FakeRandom()
        self.settings = TableSettings(database=self.database, table=table, key=key, counters=counters)
        self.records: list[dict[str, Any]] = []
        self.refused: list[tuple[str, str]] = []
        self.copy: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.offset_us = 0
        self.start()

    def start(self) -> None:
        """The agent starts; a look that was under way is appended again, as if the buffer had not taken it."""
        self.shadow = Shadow(self.folder / FILE)
        self.capture = Capture("orders", self.settings, self.shadow, self.clock, self.random, lambda: self.offset_us)
        if intent := self.capture.unfinished():
            self.take(intent)

    def stop(self) -> None:
        """The agent stops."""
        self.capture.close()
        self.shadow.close()

    def run(self, *statements: str, values: Iterable[Any] = ()) -> None:
        """The application does something."""
        for statement in statements:
            self.application.execute(statement, tuple(values))

    def look(self) -> list[dict[str, Any]]:
        """The agent looks until there is nothing to see; the records."""
        before = len(self.records)
        while True:
            intent = self.capture.look()
            if intent:
                self.take(intent)
            elif not self.capture.is_behind:
                return self.records[before:]

    def take(self, intent: Intent) -> None:
        """What the hub would do with the records, once."""
        for record in intent.records:
            self.records.append(record)
            self._apply(record)
        self.refused += intent.refused
        self.capture.settle(intent)

    def _apply(self, record: dict[str, Any]) -> None:
        if record["op"] == "schema":
            for old, new in record["renamed"].items():
                for row in self.copy.values():
                    row[new] = row.pop(old, None)
            return
        key = tuple(record["key"].values())
        if record["op"] == "delete":
            del self.copy[key]
        elif record["op"] == "insert":
            assert key not in self.copy
            self.copy[key] = dict(record["cells"])
        else:
            self.copy[key].update(record["cells"])

    def real(self, *columns: str, key: str = "id") -> dict[tuple[Any, ...], dict[str, Any]]:
        """The table as it is."""
        names = ", ".join(columns) or "customer, code, total, note, photo"
        cursor = self.application.execute(f"SELECT {key}, {names} FROM {self.table}")
        width = len(key.split(","))
        titles = [each[0] for each in cursor.description]
        return {tuple(row[:width]): dict(zip(titles[width:], row[width:], strict=True)) for row in cursor}

    def seen(self, *columns: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The same, as the records tell it; a column that no record has named is NULL."""
        names = columns or ("customer", "code", "total", "note", "photo")
        return {key: {name: row.get(name) for name in names} for key, row in self.copy.items()}
