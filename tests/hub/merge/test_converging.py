"""Whatever sites did, and in whatever order the hub hears of it: one table comes out, and no losing value is gone."""

from __future__ import annotations

import random

import pytest

from tests.hub.lake.stored import Stored
from tests.hub.merge.merging import add_sites, lost_for_good, merge_all, merged_rows
from tests.hub.merge.worlds import expected, make_world

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
    assert not lost_for_good(stored.engine, world)
