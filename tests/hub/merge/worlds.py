"""Sites that change one table as they like, for months, with wrong clocks; and the table that has to come out.

The table is worked out the plain way: by looking at all changes at once, row by row and cell by cell.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from farshore_hub.merge.policy import Deletes, Policy, Rules
from farshore_hub.merge.statements import HUB
from tests.hub.lake.stored import START_US

YEAR_US: Final = 365 * 86_400 * 10**6
SECOND_US: Final = 10**6
SCHEMA: Final = "5eed"
MAX_BATCH: Final = 60
COLUMNS: Final[dict[str, tuple[str, Policy]]] = {
    "city": ("TEXT", Policy.LAST_WRITE),
    "note": ("", Policy.LAST_WRITE),
    "origin": ("TEXT", Policy.FIRST_WRITE),
    "bid": ("INTEGER", Policy.MAX),
    "label": ("TEXT", Policy.MAX),
    "best": ("REAL", Policy.MIN),
    "price": ("INTEGER", Policy.HUB),
    "shelf": ("TEXT", Policy.SITE),
    "stock": ("INTEGER", Policy.SUM),
    "tags": ("TEXT", Policy.SET),
    "size": ("TEXT", Policy.MANUAL),
}
_TEXTS: Final = ["Ulm", "ulm", "Köln", "Ko\u0308ln", "Zürich", "", "a-b", "a b", "\U0001f9f2", None]
_VALUES: Final[dict[str, list[Any]]] = {
    "note": [1, 1.0, "1", b"\x01", None, "text", -(2**63), 2**63 - 1, 1e300],
    "bid": [0, 5, -7, 2**62, None],
    "best": [0.5, -1.5, 3.25, None],
    "price": [100, 200, 300, None],
    "size": ["S", "M", None],
}
_ELEMENTS: Final = ["a", "b", 1, 1.0, {"x": 1}, "é", None]


def schema_record() -> dict[str, Any]:
    columns = [{"name": "id", "type": "TEXT"}, *({"name": name, "type": type_} for name, (type_, _) in COLUMNS.items())]
    plain = {"not_null": False, "default": None}
    record = {"op": "schema", "number": 1, "hlc": 1, "schema": SCHEMA, "renamed": {}, "key_columns": ["id"]}
    return record | {"columns": [each | plain for each in columns]}


def rules(deletes: Deletes) -> Rules:
    return Rules(columns={name: policy for name, (_, policy) in COLUMNS.items()}, deletes=deletes)


@dataclass(frozen=True)
class Batch:
    """What one site, or the hub, said at one time."""

    number: int
    by: int
    received_us: int
    changes: list[dict[str, Any]]

    def stamp(self, place: int) -> tuple[int, int]:
        return min(self.changes[place]["hlc"], self.received_us + place), self.by


@dataclass
class Site:
    """A site with a copy of its own, and a clock that is wrong."""

    by: int
    chance: random.Random
    error_us: int
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    hlc: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)

    def act(self, now_us: int, key: str) -> None:
        """Change a row in some way."""
        row = self.rows.get(key)
        if row is None:
            self.rows[key] = {name: self.value(name, None) for name in COLUMNS}
            self.tell(now_us, "insert", key, self.rows[key])
        elif self.chance.random() < 0.12:
            del self.rows[key]
            self.tell(now_us, "delete", key, {})
        else:
            names = self.chance.sample(list(COLUMNS), self.chance.randint(1, 3))
            cells = {name: self.value(name, row[name]) for name in names}
            was = {name: row[name] for name in cells}
            row |= cells
            self.tell(now_us, "update", key, cells, was)

    def tell(self, now_us: int, op: str, key: str, cells: dict[str, Any], was: dict[str, Any] | None = None) -> None:
        self.hlc = max(now_us + self.error_us, self.hlc + 1)
        change = {"op": op, "key": {"id": key}, "cells": dict(cells), "hlc": self.hlc, "schema": SCHEMA}
        if op == "update" and "stock" in cells:
            change["deltas"] = {"stock": cells["stock"] - (was or {})["stock"]}
        self.told.append(change)

    def value(self, name: str, before: Any) -> Any:  # noqa: ANN401 - any value
        if name == "stock":
            return (before or 0) + self.chance.randint(-9, 9)
        if name == "tags":
            held = json.loads(before) if before else []
            return json.dumps([*held, *self.chance.sample(_ELEMENTS, self.chance.randint(0, 2))][-6:])
        return self.chance.choice(_VALUES.get(name, _TEXTS))


@dataclass(eq=False)
class World:
    """Everything that was said, in batches."""

    batches: list[Batch]
    deletes: Deletes


def make_world(seed: int, sites: int, edits: int, keys: int, max_batch: int = MAX_BATCH, hubs: int = 1) -> World:
    """Sites that do something all the time and are heard of now and then; the hub writes too.

    Args:
        seed: of everything.
        sites: how many.
        edits: of all of them.
        keys: of the rows that they share.
        max_batch: changes of a batch.
        hubs: edits of the hub that go into its table together.
    """
    chance = random.Random(seed)
    # Of each third one the clock is right, and of each third one it was corrected to some seconds.
    errors = [(0, chance.randint(-5, 5) * SECOND_US, chance.randint(-2 * YEAR_US, 2 * YEAR_US))[by % 3]
              for by in range(1, sites + 1)]  # fmt: skip
    fleet = [Site(by, chance, errors[by - 1]) for by in range(1, sites + 1)]
    # Within a cut-off site's absence others go on: some are heard of once in all.
    patience = [chance.choice([5, max_batch, max_batch, edits]) for _ in fleet]
    hub = Site(HUB, chance, 0)
    batches: list[Batch] = []
    now_us = START_US
    for _ in range(edits):
        now_us += chance.randint(1, 3_600) * SECOND_US
        place = chance.randrange(sites)
        if chance.random() < 0.05:
            hub.act(now_us, f"key {chance.randrange(keys)}")
            if len(hub.told) >= hubs:
                _tell_hubs(hub, batches, now_us)
            continue
        site = fleet[place]
        site.act(now_us, f"key {chance.randrange(keys)}")
        if len(site.told) >= patience[place]:
            _send(site, batches, now_us + 1_000 * SECOND_US, chance, max_batch)
    _tell_hubs(hub, batches, now_us)
    for site in fleet:
        _send(site, batches, now_us + site.by * 1_000 * SECOND_US, chance, max_batch)
    return World(batches, chance.choice([Deletes.WIN, Deletes.WIN, Deletes.LOSE]))


def _tell_hubs(hub: Site, batches: list[Batch], now_us: int) -> None:
    if hub.told:
        batches.append(Batch(len(batches) + 1, HUB, now_us, [*hub.told]))
        hub.told.clear()


def _send(site: Site, batches: list[Batch], received_us: int, chance: random.Random, max_batch: int) -> None:
    while site.told:
        count = chance.randint(1, max_batch)
        received_us += 100 * SECOND_US
        batches.append(Batch(len(batches) + 1, site.by, received_us, site.told[:count]))
        del site.told[:count]


# ------------------------------------------------------------------ the plain way


@dataclass(frozen=True, slots=True)
class Write:
    """A value of a cell."""

    stamp: tuple[int, int]
    value: Any
    op: str


@dataclass
class RowStory:
    """Everything that was ever said of a row."""

    inserts: list[tuple[int, int]] = field(default_factory=list)
    deletes: list[tuple[int, int]] = field(default_factory=list)
    writes: dict[str, list[Write]] = field(default_factory=lambda: defaultdict(list))


@lru_cache(maxsize=1)
def stories(world: World) -> dict[str, RowStory]:
    """By key."""
    rows: dict[str, RowStory] = defaultdict(RowStory)
    for batch in world.batches:
        for place, change in enumerate(batch.changes):
            row, stamp = rows[change["key"]["id"]], batch.stamp(place)
            {"insert": row.inserts, "delete": row.deletes, "update": []}[change["op"]].append(stamp)
            for name, value in change["cells"].items():
                moved = change.get("deltas", {}).get(name, value) if name == "stock" else value
                row.writes[name].append(Write(stamp, moved, change["op"]))
    return rows


def expected(world: World) -> dict[str, dict[str, Any]]:
    """The merged table, with `_open`."""
    table = {}
    for key, story in stories(world).items():
        live = {name: [*_alive(story, name, world.deletes)] for name in COLUMNS}
        if _is_there(story, world.deletes):
            row = {name: _MEANING[policy](live[name]) for name, (_, policy) in COLUMNS.items()}
            table[key] = row | {"_open": int(_is_open(live["size"]))}
    return table


def _is_there(story: RowStory, deletes: Deletes) -> bool:
    deleted = max(story.deletes, default=(-1, 0))
    if any(stamp > deleted for stamp in story.inserts):
        return True
    if deletes is Deletes.WIN or not story.inserts:
        return False
    return any(write.stamp > deleted for writes in story.writes.values() for write in writes)


def _alive(story: RowStory, name: str, deletes: Deletes) -> Iterator[Write]:
    """What was written in the row's present life."""
    deleted = max(story.deletes, default=(-1, 0))
    since = deleted[0]
    if story.deletes and deletes is Deletes.WIN and COLUMNS[name][1] is not Policy.LAST_WRITE:
        since = min((stamp[0] for stamp in story.inserts if stamp > deleted), default=since)
    return (write for write in story.writes[name] if write.stamp > deleted and write.stamp[0] >= since)


def _latest(writes: list[Write]) -> Any:  # noqa: ANN401 - any value
    return max(writes, key=lambda write: write.stamp).value if writes else None


def _preferring(is_preferred: Callable[[Write], bool]) -> Callable[[list[Write]], Any]:
    return lambda writes: _latest([each for each in writes if is_preferred(each)] or writes)


def _since_hub(writes: list[Write]) -> list[Write]:
    since = max((each.stamp[0] for each in writes if each.stamp[1] == HUB), default=-1)
    return [each for each in writes if each.stamp[0] >= since]


def _united(writes: list[Write]) -> str | None:
    arrays = [each.value for each in _since_hub(writes) if each.value is not None]
    if not arrays:
        return None
    elements = {json.dumps(each, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
                for array in arrays for each in json.loads(array)}  # fmt: skip
    return f"[{','.join(sorted(elements))}]"


def _summed(writes: list[Write]) -> int | None:
    values = [each.value for each in writes if each.value is not None]
    return sum(values) if values else None


def _is_open(writes: list[Write]) -> bool:
    last: dict[int, Write] = {}
    for each in sorted(_since_hub(writes), key=lambda write: write.stamp):
        last[each.stamp[1]] = each
    return len({each.value for by, each in last.items() if by != HUB}) > 1


_MEANING: Final[dict[Policy, Callable[[list[Write]], Any]]] = {
    Policy.LAST_WRITE: _latest,
    Policy.MANUAL: _latest,
    Policy.FIRST_WRITE: lambda writes: min(writes, key=lambda write: write.stamp).value if writes else None,
    Policy.MAX: lambda writes: max((each.value for each in writes if each.value is not None), default=None),
    Policy.MIN: lambda writes: min((each.value for each in writes if each.value is not None), default=None),
    Policy.HUB: _preferring(lambda write: write.stamp[1] == HUB),
    Policy.SITE: _preferring(lambda write: write.stamp[1] != HUB),
    Policy.SUM: _summed,
    Policy.SET: _united,
}


def last_words(world: World) -> Iterator[tuple[str, str, Any, tuple[int, int]]]:
    """By row, cell and site: what it wrote last, unless it deleted the row afterwards."""
    for key, story in stories(world).items():
        for name, writes in story.writes.items():
            last: dict[int, Write] = {}
            for write in sorted(writes, key=lambda each: each.stamp):
                last[write.stamp[1]] = write
            for by, write in last.items():
                own_delete = max((stamp for stamp in story.deletes if stamp[1] == by), default=(-1, 0))
                if write.stamp > own_delete and write.value is not None:
                    yield key, name, write.value, write.stamp
