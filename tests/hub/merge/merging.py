"""Merges the batches of a world in some order into a database, and reads what has come of it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine, insert, select

from farshore_hub.merge.policy import Policy
from farshore_hub.merge.statements import HUB
from farshore_hub.merged.table import OpenTable, Origin, rows_of
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.merge import find_table
from farshore_hub.store.schema import sites, table_conflicts
from farshore_hub.texts import exact_json
from tests.hub.merge.worlds import COLUMNS, Batch, World, last_words, rules, schema_record, stories

NAME = "world"


def add_sites(engine: Engine, count: int) -> None:
    with writing(engine) as connection:
        rows = [{"id": by, "name": f"site-{by}", "state": "active", "created_us": 0} for by in range(1, count + 1)]
        connection.execute(insert(sites), rows)


def merge_all(
    engine: Engine,
    world: World,
    batches: Sequence[Batch],
    again: random.Random | None = None,
    after_each: Callable[[int], None] = lambda _: None,
) -> None:
    """Merge; with `again` some batches twice, and some only in part before that, as after a crash.

    `after_each` is told how many batches are merged.
    """
    declared = rules(world.deletes)
    with writing(engine) as connection:
        table = OpenTable.opened(connection, NAME, declared, 0)
        table.take_in(connection, [schema_record()])
    for done, batch in enumerate(batches, 1):
        turns = [len(batch.changes)]
        if again is not None and batch.by != HUB and again.random() < 0.2:
            turns.insert(0, again.randint(1, len(batch.changes)))
        for count in turns:
            with writing(engine) as connection:
                origin = Origin(batch.by, batch.received_us, batch.number)
                table.merge(connection, batch.changes[:count], origin, 0)
        after_each(done)


def merged_rows(engine: Engine, world: World) -> dict[str, dict[str, Any]]:
    """As `expected` has them."""
    with reading(engine) as connection:
        found = find_table(connection, NAME)
        assert found
        rows = rows_of(connection, *found, rules(world.deletes), 10**9)
    return {row.pop("id"): row | {"note": _any(row["note"])} for row in rows}


def _any(value: str | None) -> Any:  # noqa: ANN401 - any value
    return None if value is None else exact_json.loads(value)


def lost_for_good(engine: Engine, world: World) -> list[object]:
    """What sites wrote last, and neither stands in the table nor in the ledger."""
    told: set[tuple[str, str, str | None]] = set()
    ended: dict[tuple[str, str], int] = {}
    one = table_conflicts.c
    columns = (one.row_key, one.column, one.policy, one.lost_value, one.lost_at, one.kept_at)
    with reading(engine) as connection:
        found = find_table(connection, NAME)
        assert found
        query = select(*columns).where(one.table_id == found[0]).execution_options(yield_per=1_000)
        for row_key, column, policy, value, lost_at, kept_at in connection.execute(query):
            key = json.loads(row_key)[0]
            told.add((key, column, value))
            if policy == "deleted":
                ended[key, column] = max(kept_at, lost_at, ended.get((key, column), 0))
    rows = merged_rows(engine, world)
    told_of = stories(world)
    missing: list[object] = []
    for key, name, value, stamp in last_words(world):
        _, policy = COLUMNS[name]
        if key in rows and (policy in {Policy.SUM, Policy.SET} or repr(rows[key][name]) == repr(value)):
            continue
        if any(write.value == value and write.stamp != stamp for write in told_of[key].writes[name]):
            continue  # somebody else wrote the same: they agreed
        # What has become of a counter or a set is lost as a whole, with the row.
        whole = policy in {Policy.SUM, Policy.SET} and (key, name) in ended and ended[key, name] >= stamp[0]
        if not whole and (key, name, exact_json.dumps(value)) not in told:
            missing.append((key, name, value, stamp))
    return missing
