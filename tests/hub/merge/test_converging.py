"""Whatever sites did, and in whatever order the hub hears of it: one table comes out, and no losing value is gone."""

from __future__ import annotations

import json
import random

import pytest

from farshore_hub.merge.policy import Policy
from farshore_hub.texts import exact_json
from tests.hub.lake.stored import Stored
from tests.hub.merge.merging import add_sites, ledger, merge_all, merged_rows
from tests.hub.merge.worlds import COLUMNS, World, expected, last_words, make_world, stories

SITES = 6


@pytest.mark.parametrize("seed", range(3))
def test_every_order_of_merging_makes_the_same_table_and_keeps_what_loses(stored: Stored, seed: int) -> None:
    world = make_world(seed, SITES, edits=250, keys=8)
    add_sites(stored.engine, SITES)
    chance = random.Random(seed)
    batches = chance.sample(world.batches, len(world.batches))
    merge_all(stored.engine, world, batches, again=chance)
    rows = merged_rows(stored.engine, world)
    assert {key: repr(row) for key, row in rows.items()} == {key: repr(row) for key, row in expected(world).items()}
    assert rows
    missing = lost_for_good(stored, world)
    assert not missing


def lost_for_good(stored: Stored, world: World) -> list[object]:
    """What sites wrote last, and neither stands in the table nor in the ledger."""
    lost = ledger(stored.engine, world)
    told = {(json.loads(each["key"])[0], each["column"], each["lost"]["value"]) for each in lost}
    ended: dict[tuple[str, str], int] = {}
    for each in lost:
        cell = json.loads(each["key"])[0], each["column"]
        if each["policy"] == "deleted":
            ended[cell] = max(each["kept"]["at_us"], ended.get(cell, 0))
    rows = merged_rows(stored.engine, world)
    told_of = stories(world)
    missing: list[object] = []
    for key, name, value, stamp in last_words(world):
        _, policy = COLUMNS[name]
        if key in rows and (policy in {Policy.SUM, Policy.SET} or repr(rows[key][name]) == repr(value)):
            continue
        # What has become of a counter or a set is lost as a whole, with the row.
        if any(write.value == value and write.stamp != stamp for write in told_of[key].writes[name]):
            continue  # somebody else wrote the same: they agreed
        whole = policy in {Policy.SUM, Policy.SET} and (key, name) in ended and ended[key, name] > stamp[0]
        if not whole and (key, name, exact_json.dumps(value)) not in told:
            missing.append((key, name, value, stamp))
    return missing
