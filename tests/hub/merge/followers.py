"""Sites that change and follow one table as agents do, and its twin at the hub, of which nothing is ever forgotten."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

from farshore_hub.merge.filters import Filter
from farshore_hub.merge.forgetting import Keeping
from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merged.forgetter import Forgetter, Kept
from farshore_hub.merged.table import rows_of
from farshore_hub.merger import Merger
from farshore_hub.share.sharer import Shared, Sharer
from farshore_hub.store import merge as store
from farshore_hub.store import misfits
from farshore_hub.store.engine import reading
from farshore_hub.store.misfits import AskedMisfits
from farshore_protocol.tables import Ask, Followed
from tests.agent.buffer.world import FakeRandom
from tests.hub.lake.stored import KeyOpener, Stored
from tests.hub.merge.shops import CELLS, change, read, schema_record

TABLE: Final = "orders"
TWIN: Final = "twin"
SECOND_US: Final = 10**6
KEEPING: Final = Keeping(keep_us=10 * SECOND_US, await_us=10_000 * SECOND_US)
ROUND_US: Final = 700 * SECOND_US
"""Between two questions, so that each of them is noted."""

Cells = dict[str, Any]


class TwinHub:
    """A hub that merges the same changes into both tables, and forgets the deletes of one of them."""

    def __init__(self, stored: Stored, rules: Rules) -> None:
        self.stored = stored
        self.rules = rules
        both = {TABLE: rules, TWIN: rules}
        self.merger = Merger(stored.engine, KeyOpener(), stored.clock, _unused, both)
        self.sharer = Sharer(stored.engine, FakeRandom(), {TABLE: Shared(rules, Filter())})
        self.forgetter = Forgetter(stored.engine, stored.clock, _unused, {TABLE: Kept(rules, KEEPING)})
        self.sharer.begin()

    def send(self, site: str, records: list[dict[str, Any]]) -> None:
        """A batch arrives."""
        for table in (TABLE, TWIN):
            self.stored.add(records, stream=f"{table}.changes", site=site)

    def merge(self) -> None:
        """Merge all that can be."""
        while self.merger.merge_waiting():
            pass

    def forget(self) -> int:
        """Forget what may be; how many rows."""
        return self.forgetter.forget(TABLE)

    def rows(self, table: str = TABLE) -> dict[int, Cells]:
        with reading(self.stored.engine) as connection:
            found = store.find_table(connection, table)
            assert found
            return read(rows_of(connection, *found, self.rules, 10_000))

    def kept(self, table: str = TABLE) -> int:
        """How many rows are kept, also of those that are not there any more."""
        with reading(self.stored.engine) as connection:
            found = store.find_table(connection, table)
            assert found
            return int(connection.exec_driver_sql(f"SELECT count(*) FROM merged_{found[0]}").scalar_one())

    def misfits(self) -> list[dict[str, Any]]:
        with reading(self.stored.engine) as connection:
            asked = AskedMisfits(table=TABLE, limit=1_000)
            return [dict(each._mapping) for each in misfits.asked_misfits(connection, asked)]


@dataclass
class Site:
    """A site with a copy of its own, and a clock that is wrong."""

    name: str
    hub: TwinHub
    chance: random.Random
    error_us: int = 0
    rows: dict[int, Cells] = field(default_factory=dict)
    unsent: list[dict[str, Any]] = field(default_factory=list)
    waiting: dict[int, Cells | None] = field(default_factory=dict)
    flying: dict[int, int] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)
    number: int = 0
    hlc: int = 0
    cursor: bytes = b""

    def __post_init__(self) -> None:
        """The hub knows the site."""
        self.hub.send(self.name, [schema_record()])
        self.hub.merge()

    def act(self, keys: int) -> None:
        """Change a row in some way."""
        key = self.chance.randrange(keys)
        if key not in self.rows:
            self.insert(key)
        elif self.chance.random() < 0.4:
            self.delete(key)
        else:
            name = self.chance.choice(CELLS)
            before, value = self.rows[key]["stock"] or 0, self._value(name)
            self.rows[key][name] = value
            self._tell("update", key, {name: value}, {"stock": (value or 0) - before} if name == "stock" else {})

    def insert(self, key: int) -> None:
        self.rows[key] = {name: self._value(name) for name in CELLS}
        self._tell("insert", key, self.rows[key])

    def delete(self, key: int) -> None:
        del self.rows[key]
        self._tell("delete", key, {})

    def send(self) -> None:
        """All that was told arrives."""
        if self.unsent:
            self.hub.send(self.name, [schema_record(), *self.unsent])
            self.unsent = []

    def ask(self) -> None:
        """Ask until there is no more, and apply what is free."""
        more, is_reading = True, False
        while more:
            is_whole = None not in self.waiting.values()
            ask = Ask([Followed(TABLE, self.cursor, is_whole, self.number, self.hlc)])
            self.hub.sharer.note(self.name, ask, self.hub.stored.clock.now_us())
            [page] = self.hub.sharer.answer(self.name, ask).pages
            self.hlc = max(self.hlc, page.hlc)
            if page.fresh:
                self.told, is_reading = set(), True
            names = [each.names[-1] for each in page.columns]
            self.waiting |= {row.key[0]: {name: row.cells.get(place) for place, name in enumerate(names)}
                             for row in page.rows}  # fmt: skip
            self.told |= {row.key[0] for row in page.rows}
            self.waiting |= {key: None for (key,) in page.gone}
            self.flying = {key: number for key, number in self.flying.items() if number > page.merged}
            self.cursor, more = page.cursor, page.more
        if is_reading:
            self.waiting |= dict.fromkeys(self.rows.keys() - self.told - self.flying.keys())
        for key in self.waiting.keys() - self.flying.keys():
            cells = self.waiting.pop(key)
            self.rows.pop(key, None)
            if cells is not None:
                self.rows[key] = cells

    def _tell(self, op: str, key: int, cells: Cells, deltas: Cells | None = None) -> None:
        self.hlc = max(self.hub.stored.clock.now_us() + self.error_us, self.hlc + 1)
        self.number += 1
        more = {"number": self.number} | ({"deltas": deltas} if deltas else {})
        self.unsent.append(change(op, key, self.hlc, **cells) | more)
        self.flying[key] = self.number

    def _value(self, name: str) -> Any:  # noqa: ANN401 - a cell's value
        if name == "stock":
            return self.chance.randint(-9, 9)
        return self.chance.choice(["Ulm", "Köln", "", None])


RULES: Final = Rules(columns={"stock": Policy.SUM, "note": Policy.MAX})


async def _unused(work: Any) -> Any:  # noqa: ANN401 - a Runner
    return work()
