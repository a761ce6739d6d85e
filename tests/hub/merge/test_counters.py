"""Counters: what a merge adds is added to what stands, and the sum is that of all changes, however they came."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import text

from farshore_hub.merge import history
from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.store.engine import writing
from tests.hub.lake.stored import START_US, Stored
from tests.hub.merge.shops import Hub, change, schema_record

T = START_US - 10**9
RULES = Rules(columns={"stock": Policy.SUM})


def moved(hlc: int, by: int, key: int = 1) -> dict[str, object]:
    return change("update", key, hlc, stock=0) | {"deltas": {"stock": by}}


def stocks(hub: Hub) -> dict[int, int | None]:
    return {row["id"]: row["stock"] for row in hub.rows()}


def forget_history(stored: Stored) -> None:
    """What is summed over the history is wrong from now on, so one sees what is not."""
    with writing(stored.engine) as connection:
        connection.execute(text("DELETE FROM history_1_1"))


def started(stored: Stored) -> Hub:
    hub = Hub(stored, RULES)
    hub.send("a", [schema_record(), change("insert", 1, T, stock=100), moved(T + 1, -3)])
    hub.merge()
    return hub


def test_what_sites_add_is_added_without_reading_the_history(stored: Stored) -> None:
    hub = started(stored)
    forget_history(stored)
    hub.send("b", [moved(T + 5, 10), moved(T + 6, 1)])
    hub.send("a", [moved(T + 2, -7)])
    hub.merge()
    assert stocks(hub) == {1: 101}


@pytest.mark.parametrize("late", [moved(T - 1, 10), change("delete", 1, T - 2), change("insert", 1, T + 3, stock=1)])
def test_what_comes_late_or_deletes_or_inserts_is_summed_over_the_history(
    stored: Stored, late: dict[str, object]
) -> None:
    hub = started(stored)
    forget_history(stored)
    hub.send("b", [late])
    hub.merge()
    assert stocks(hub)[1] in {None, 1, 10}  # of the history that is left


def test_a_batch_that_is_merged_again_adds_nothing(stored: Stored) -> None:
    hub = started(stored)
    hub.send("b", [moved(T + 5, 10), moved(T + 6, 1)])
    hub.merge()
    with writing(stored.engine) as connection:
        connection.execute(text("DELETE FROM merged_batches"))
    hub.merge()
    assert stocks(hub) == {1: 108}


@pytest.mark.parametrize("bound", [2**61, 2**48])
def test_every_order_of_deltas_makes_one_sum_also_beyond_what_is_only_added_to(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, bound: int
) -> None:
    monkeypatch.setattr(history, "_ADDED_TO", bound)
    chance = random.Random(3)
    hub = started(stored)
    hub.send("a", [change("insert", key, T + 50 + key, stock=0) for key in (2, 3)])
    deltas = [(T + 100 + number, chance.choice([2, 3]), chance.choice([-1, 1, 1]) * 2**47) for number in range(40)]
    deltas += [(T + 20, 2, 5)]  # before the row was inserted, and not deleted before that
    batches = [[each] for each in deltas[:10]] + [deltas[10:20], deltas[20:30], deltas[30:]]
    for number, batch in enumerate(chance.sample(batches, len(batches))):
        hub.send("bcd"[number % 3], [moved(hlc, by, key) for hlc, key, by in sorted(batch)])
        if number % 2:
            hub.merge()
    hub.merge()
    plain = {key: sum(by for _, other, by in deltas if other == key) for key in (2, 3)}
    assert max(plain.values()) > 2**48
    assert stocks(hub) == {1: 97} | plain
    hub.send("b", [change("delete", 2, T + 120)])
    hub.send("c", [moved(T + 900, 1, 3)])
    hub.merge()
    assert stocks(hub) == {1: 97, 3: plain[3] + 1}
