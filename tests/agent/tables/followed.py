"""Sites that follow one table, and a small hub in memory that merges by the latest stamp and makes pages of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from farshore_agent.settings.tables import Direction, TableSettings
from farshore_agent.tables.capture import Capture
from farshore_agent.tables.follower import Follower
from farshore_agent.tables.shadow import FILE, Intent, Shadow
from farshore_protocol.tables import ColumnTold, Page, Pages, RowTold, open_pages, pack_pages
from tests.agent.buffer.world import FakeClock, FakeRandom

GOODS = "CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT, price REAL, note)"
COLUMNS = ("name", "price", "note")


@dataclass
class Row:
    version: int = 0
    present: int = -1
    deleted: int = -1
    cells: dict[str, tuple[int, Any]] = field(default_factory=dict)


@dataclass
class ToyHub:
    """What the hub does, in a few lines; `region` is a column by which sites may be told apart."""

    columns: tuple[str, ...] = COLUMNS
    key: tuple[str, ...] = ("id",)
    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    version: int = 0
    merged: dict[str, int] = field(default_factory=dict)
    epoch: int = 1
    limit: int = 7

    def merge(self, site: str, record: dict[str, Any]) -> None:
        """One change of a site."""
        self.version += 1
        self.merged[site] = record["number"]
        if record["op"] == "schema":
            return
        row = self.rows.setdefault(tuple(record["key"].values()), Row())
        row.version = self.version
        hlc = record["hlc"]
        if record["op"] == "delete":
            row.deleted = max(row.deleted, hlc)
        elif record["op"] == "insert":
            row.present = max(row.present, hlc)
        for name, value in record["cells"].items():
            if hlc > row.cells.get(name, (-1, None))[0]:
                row.cells[name] = (hlc, value)

    def put(self, key: int, hlc: int, **cells: Any) -> None:  # noqa: ANN401 - any values
        """The hub's own edit."""
        op = "update" if (key,) in self.rows and self.is_present(self.rows[key,]) else "insert"
        self.merge("(hub)", {"number": 0, "op": op, "key": {"id": key}, "cells": cells, "hlc": hlc})

    def drop(self, key: int, hlc: int) -> None:
        self.merge("(hub)", {"number": 0, "op": "delete", "key": {"id": key}, "cells": {}, "hlc": hlc})

    @staticmethod
    def is_present(row: Row) -> bool:
        return row.present > row.deleted

    def shown(self, row: Row) -> dict[str, Any]:
        return {name: (value if at > row.deleted else None) for name, (at, value) in row.cells.items()}

    def all(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {
            key: {name: self.shown(row).get(name) for name in self.columns}
            for key, row in self.rows.items()
            if self.is_present(row)
        }

    def page(self, site: str, cursor: bytes) -> Page:
        epoch, _, after = cursor.partition(b"/")
        fresh = epoch != b"%d" % self.epoch
        start = 0 if fresh else int(after)
        changed = sorted((row.version, key) for key, row in self.rows.items() if row.version > start)
        taken = changed[: self.limit]
        more = len(changed) > len(taken)
        upto = taken[-1][0] if more else self.version
        stamps = [at for _, key in taken for at, _ in self.rows[key].cells.values()]
        page = Page(
            "goods",
            b"%d/%d" % (self.epoch, upto),
            fresh=fresh,
            more=more,
            merged=0 if more else self.merged.get(site, 0),
            hlc=max(stamps, default=0),
            key=[ColumnTold([name], "integer") for name in self.key],
            columns=[ColumnTold([name], "any") for name in self.columns],
            rows=[self._told(key) for _, key in taken if self.is_present(self.rows[key])],
            gone=[list(key) for _, key in taken if not self.is_present(self.rows[key])],
        )
        return open_pages(pack_pages(Pages([page]))).pages[0]

    def _told(self, key: tuple[Any, ...]) -> RowTold:
        shown = self.shown(self.rows[key])
        return RowTold(list(key), {self.columns.index(name): value for name, value in shown.items()})


class Site:
    """An application with a table, and its agent."""

    def __init__(
        self, folder: Path, hub: ToyHub, name: str = "a", direction: Direction = Direction.BOTH, *schema: str
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.name = name
        self.hub = hub
        self.folder = folder
        self.database = folder / "app.db"
        self.application = sqlite3.connect(self.database, isolation_level=None)
        for statement in schema or (GOODS,):
            self.run(statement)
        self.clock, self.random = FakeClock(), FakeRandom()
        self.settings = TableSettings(database=self.database, direction=direction)
        self.outgoing: list[dict[str, Any]] = []
        self.told = 0
        self.shadow: Shadow | None = None
        self.start()

    def start(self) -> None:
        """The agent starts; a look that was under way is appended again, as if the buffer had not taken it."""
        self.shadow = Shadow(self.folder / FILE)
        self.capture = Capture("goods", self.settings, self.shadow, self.clock, self.random)
        self.follower = Follower("goods", self.settings, self.shadow, self.clock, lambda: self.capture.progress)
        if intent := self.capture.unfinished():
            self.take(intent)

    def stop(self) -> None:
        """The agent is killed: nothing is brought to its end."""
        assert self.shadow
        self.follower.close()
        if self.capture._application:
            self.capture._application.close()
        self.shadow.close()

    def run(self, statement: str, values: Iterable[Any] = ()) -> None:
        self.application.execute(statement, tuple(values))

    def look(self) -> None:
        """The agent looks until there is nothing to see, as the loop does it."""
        self.follower.attend()
        while self.follower.is_restoring:
            self.follower.apply()
        if not self.settings.direction.is_captured:
            return
        while True:
            intent = self.capture.look()
            if intent:
                self.take(intent)
            elif not self.capture.is_behind:
                return

    def take(self, intent: Intent) -> None:
        self.told += sum(record["op"] != "schema" for record in intent.records)
        self.outgoing += intent.records
        self.follower.note_under_way(intent)
        self.capture.settle(intent)

    def send(self, count: int | None = None) -> None:
        """What was told arrives at the hub and is merged."""
        count = len(self.outgoing) if count is None else count
        for record in self.outgoing[:count]:
            self.hub.merge(self.name, record)
        del self.outgoing[:count]

    def pull(self) -> bool:
        """One page comes; whether there is more."""
        self.look()
        page = self.hub.page(self.name, self.follower.asked().cursor)
        self.capture.heard(page.hlc)
        self.follower.receive(page)
        return page.more

    def apply(self) -> None:
        """Apply all that can be."""
        self.clock.advance(10)
        while self.follower.apply():
            pass

    def settle(self) -> None:
        """Up and down until nothing moves."""
        for _ in range(4):
            self.look()
            self.send()
            while self.pull():
                pass
            self.apply()

    def rows(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        cursor = self.application.execute("SELECT * FROM goods")
        titles = [each[0] for each in cursor.description]
        return {(row[0],): dict(zip(titles[1:], row[1:], strict=True)) for row in cursor}


class Killed(Exception):
    """The agent ends here."""


def kill_after_the_commit(follower: Follower) -> None:
    """The agent is killed when rows are in the application's database, and not noted in `tables.db` yet."""

    def dies(*_: object) -> None:
        raise Killed

    follower._arrivals.applied = dies  # type: ignore[assignment]


__all__ = ["COLUMNS", "GOODS", "Killed", "Row", "Site", "ToyHub", "apsw", "kill_after_the_commit"]
