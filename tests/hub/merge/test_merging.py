"""Batches of changes become rows: what wins, what is kept of what loses, and what waits or does not fit."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from sqlalchemy import text

from farshore_hub.merge.policy import Deletes, Policy, Rules
from farshore_hub.store.engine import reading
from tests.hub.lake.stored import START_US, Stored
from tests.hub.merge.shops import COLUMNS, Hub, change, fleet, schema_record

T = START_US - 10**6


def test_what_a_site_wrote_last_wins_or_is_in_the_conflict_ledger(stored: Stored) -> None:
    chance = random.Random(5)
    hub = Hub(stored, Rules())
    last: dict[tuple[str, int], Any] = {}
    for site in ("a", "b", "c"):
        records = [schema_record(), *(change("insert", key, T + key, stock=0) for key in range(5))]
        for number in range(60):
            key, stock = chance.randrange(5), chance.randrange(10**6)
            last[site, key] = stock
            records.append(change("update", key, T + 100 + chance.randrange(10**5) * 3 + number, stock=stock))
        records[6:] = sorted(records[6:], key=lambda record: record["hlc"])
        for record in records[6:]:
            last[site, record["key"]["id"]] = record["cells"]["stock"]
        hub.send(site, records)
    hub.merge()
    kept = {row["id"]: row["stock"] for row in hub.rows()}
    lost = {(json.loads(each["key"])[0], json.loads(each["lost"]["value"])) for each in hub.conflicts()}
    for (_, key), stock in last.items():
        assert stock == kept[key] or (key, stock) in lost
    assert lost


def test_a_deleted_row_stays_deleted_and_the_losing_change_is_kept(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), change("insert", 1, T, city="Ulm", stock=1)])
    hub.send("b", [schema_record(), change("insert", 1, T + 1, city="Ulm", stock=1)])
    hub.send("a", [change("delete", 1, T + 2)])
    hub.send("b", [change("update", 1, T + 3, stock=9)])
    hub.merge()
    assert hub.rows() == []
    (update,) = [each for each in hub.conflicts() if each["lost"]["value"] == "9"]
    assert (update["policy"], update["column"], update["kept"]["site"], update["lost"]["site"]) == (
        "deleted", "stock", "a", "b",
    )  # fmt: skip


def test_a_change_brings_a_deleted_row_back_where_deletes_lose(stored: Stored) -> None:
    hub = Hub(stored, Rules(deletes=Deletes.LOSE))
    hub.send("a", [schema_record(), change("insert", 1, T, city="Ulm", stock=1), change("delete", 1, T + 2)])
    hub.send("b", [schema_record(), change("update", 1, T + 3, stock=9)])
    hub.merge()
    assert [(row["stock"], row["city"]) for row in hub.rows()] == [(9, None)]


def test_a_row_that_comes_back_has_nothing_of_its_former_life(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), change("insert", 1, T, city="Ulm", stock=1), change("delete", 1, T + 2)])
    hub.send("b", [schema_record(), change("insert", 1, T + 3, stock=5)])
    hub.merge()
    assert [(row["stock"], row["city"]) for row in hub.rows()] == [(5, None)]


def test_a_clock_in_the_future_does_not_win_for_ever(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("ahead", [schema_record(), change("insert", 1, START_US * 2, city="Mars", stock=1)])
    hub.merge()
    stored.clock.us += 5 * 10**6
    hub.send("right", [schema_record(), change("insert", 1, stored.clock.us - 10**6, city="Ulm", stock=2)])
    hub.merge()
    assert [row["city"] for row in hub.rows()] == ["Ulm"]


def test_columns_are_added_and_renamed_and_old_schemas_still_mean_the_same(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("old", [schema_record(), change("insert", 1, T, city="Ulm", stock=1)])
    hub.merge()
    renamed = [{**each, "name": "town"} if each["name"] == "city" else each for each in COLUMNS]
    weight = {"name": "weight", "type": "REAL", "not_null": False, "default": None}
    new = schema_record("bb", columns=[*renamed, weight], renamed={"city": "town"})
    hub.send("new", [new, {**change("insert", 2, T + 1, town="Bonn", weight=1.5), "schema": "bb"}])
    hub.send("old", [change("update", 2, T + 2, city="Köln")])
    hub.merge()
    assert [(row["id"], row["town"], row["weight"]) for row in hub.rows()] == [(1, "Ulm", None), (2, "Köln", 1.5)]


def test_changes_wait_for_the_schema_that_they_were_made_under(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [change("update", 1, T + 1, stock=2)])
    hub.merge()
    assert hub.table.batches == 0
    hub.send("a", [schema_record(), change("insert", 1, T, stock=1)])
    hub.merge()
    assert [row["stock"] for row in hub.rows()] == [2]


def test_those_that_wait_for_a_schema_hold_up_nobody(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    for number in range(30):
        hub.send("a", [{**change("update", 1, T + number, stock=number), "schema": "late"}])
    hub.merge()
    hub.send("b", [schema_record(), change("insert", 2, T, stock=7)])
    hub.merge()
    assert [(row["id"], row["stock"]) for row in hub.rows()] == [(2, 7)]
    hub.send("a", [schema_record("late"), change("insert", 1, T - 1, stock=0)])
    hub.merge()
    assert [(row["id"], row["stock"]) for row in hub.rows()] == [(1, 29), (2, 7)]
    assert hub.table.batches == 32


def test_what_does_not_fit_is_kept_with_its_reason_and_holds_up_nothing(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), change("insert", 1, T, stock="many"), change("insert", 2, T, stock=1)])
    other = schema_record("cc", key_columns=["city"])
    hub.send("b", [other, {**change("insert", 3, T, stock=1), "schema": "cc", "key": {"city": "Ulm"}}])
    hub.merge()
    assert [row["id"] for row in hub.rows()] == [2]
    assert {each["why"] for each in hub.misfits()} == {
        "its value of stock is not integer",
        "its key has city, and that of the merged table id",
    }


def test_merging_again_what_was_merged_changes_nothing(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    for shop in fleet(random.Random(1), sites=3, changes=80, keys=6):
        hub.send(shop.name, shop.told)
    hub.merge()
    rows, ledger = hub.rows(), {each["id"] for each in hub.conflicts()}
    hub.forget_merged()
    hub.merge()
    assert hub.rows() == rows
    again = hub.conflicts()
    assert ledger <= {each["id"] for each in again}
    lost = [(each["key"], each["column"], each["lost"]["at_us"], each["lost"]["site"]) for each in again]
    assert len(lost) == len(set(lost))


def test_the_view_is_an_ordinary_typed_table(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), change("insert", 1, T, city="Ulm", stock=4), change("insert", 2, T, city=None)])
    hub.merge()
    with reading(stored.engine) as connection:
        found = connection.execute(text('SELECT sum(stock) + 1, max(city) FROM "table_orders" WHERE id < 3')).one()
    assert tuple(found) == (5, "Ulm")


def versions(hub: Hub, after: int = 0) -> list[tuple[int, int, bool, Any]]:
    return [(row["version"], row["k0"], row["is_present"], row["c1"]) for row in hub.changed(after)]


def test_a_row_is_numbered_anew_by_every_change_that_meets_it_also_by_one_that_loses(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), *(change("insert", key, T + key, stock=key) for key in (1, 2, 3))])
    hub.merge()
    first = versions(hub)
    assert [(key, is_present, stock) for _, key, is_present, stock in first] == [
        (1, True, 1),
        (2, True, 2),
        (3, True, 3),
    ]
    read_up_to = first[-1][0]
    hub.send("b", [schema_record(), change("update", 2, T - 9, stock=0), change("delete", 1, T + 9)])
    hub.merge()
    later = versions(hub, read_up_to)
    assert [(key, is_present, stock) for _, key, is_present, stock in later] == [(2, True, 2), (1, False, None)]
    assert versions(hub, later[-1][0]) == []
    numbers = [version for version, *_ in versions(hub)]
    assert sorted(set(numbers)) == numbers


def test_a_table_from_before_rows_were_numbered_is_numbered_when_it_is_opened(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), *(change("insert", key, T + key, stock=key) for key in (1, 2, 3))])
    hub.merge()
    merged = f"merged_{hub.table.id}"
    with stored.engine.begin() as connection:
        connection.execute(text(f"DROP INDEX {merged}_version"))
        connection.execute(text(f"ALTER TABLE {merged} DROP COLUMN version"))
        connection.execute(text("UPDATE merged_tables SET version = 0"))
    again = Hub(stored, Rules())
    again.send("a", [change("update", 2, T + 9, stock=8)])
    again.merge()
    assert [(key, stock) for _, key, _, stock in versions(again)] == [(1, 1), (3, 3), (2, 8)]
    assert len({version for version, *_ in versions(again)} - {0}) == 3


def test_a_site_whose_clock_is_ahead_keeps_its_own_order_within_a_parcel(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    ahead = START_US * 2
    first = [change("insert", 1, ahead, stock=0), *(change("update", 1, ahead + n, stock=n) for n in range(1, 9))]
    hub.send("ahead", [schema_record(), *first])
    hub.send("ahead", [change("update", 1, ahead + 9, stock=9)])
    hub.merge()
    assert [row["stock"] for row in hub.rows()] == [9]


def test_texts_are_compared_byte_by_byte(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"city": Policy.MAX}))
    for site, city in (("a", "Zürich"), ("b", "zug"), ("c", "Ähre"), ("d", "a b"), ("e", "a-b")):
        hub.send(site, [schema_record(), change("insert", 1, T, city=city)])
        hub.merge()
    assert [row["city"] for row in hub.rows()] == ["Ähre"]


def test_a_counter_adds_what_each_site_says_it_changed_by(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"stock": Policy.SUM}))
    hub.send("a", [schema_record(), change("insert", 1, T, stock=10)])
    hub.send("a", [change("update", 1, T + 5, stock=7) | {"deltas": {"stock": -3}}])
    hub.send("b", [schema_record(), change("update", 1, T + 3, stock=14) | {"deltas": {"stock": 4}}])
    hub.send("b", [change("update", 1, T + 4, stock=15)])
    hub.merge()
    assert [row["stock"] for row in hub.rows()] == [11]
    (misfit,) = hub.misfits()
    assert misfit["why"] == "it does not say by how much stock changed: name it in counters = [...] at the site"


def test_a_counter_that_would_overflow_stays_at_its_end(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"stock": Policy.SUM}))
    hub.send("a", [schema_record(), change("insert", 1, T, stock=1), change("insert", 2, T, stock=2**48 + 1)])
    hub.merge()
    assert [each["why"] for each in hub.misfits()] == ["stock changes by more than a counter can at once"]
    with stored.engine.begin() as connection:
        # As many changes would have made it.
        connection.execute(text(f"UPDATE history_{hub.table.id}_1 SET value = {2**63 - 1}"))
        connection.execute(text(f"UPDATE merged_{hub.table.id} SET c1 = {2**63 - 1}"))
    for number in range(1, 4):
        hub.send("b", [schema_record(), change("update", 1, T + number, stock=0) | {"deltas": {"stock": 2**48}}])
    hub.merge()
    assert [row["stock"] for row in hub.rows()] == [2**63 - 1]


def test_a_policy_that_does_not_fit_its_column_keeps_the_change_out_and_says_so(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"city": Policy.SUM, "stock": Policy.SET}))
    hub.send("a", [schema_record(), change("insert", 1, T, city="Ulm"), change("insert", 2, T, stock=1)])
    hub.send("a", [change("insert", 3, T, note="fits")])
    hub.merge()
    assert [row["id"] for row in hub.rows()] == [3]
    assert sorted(each["why"].partition(":")[2] for each in hub.misfits()) == [
        " set unites arrays that are JSON text, and the column is integer: declare it otherwise, or another policy",
        " sum adds whole numbers, and the column is text: declare it otherwise, or another policy",
    ]


@pytest.mark.parametrize("text", ["{}", "[", "[NaN]", "7", "[" * 100_000, f"[{'1' * 5_000}]", "[1e999]"])
def test_what_is_no_array_is_no_set(stored: Stored, text: str) -> None:
    hub = Hub(stored, Rules(columns={"city": Policy.SET}))
    hub.send(
        "a", [schema_record(), change("insert", 1, T, city=text), change("insert", 2, T, city='["\\ud800", {"a":1}]')]
    )
    hub.merge()
    assert [row["id"] for row in hub.rows()] == [2]
    assert "set unites JSON arrays" in hub.misfits()[0]["why"]


def test_a_policy_that_is_declared_later_begins_with_what_stands(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), change("insert", 1, T, stock=5, city='["a"]', note='["x"]')])
    hub.merge()
    later = Hub(stored, Rules(columns={"stock": Policy.SUM, "city": Policy.SET, "note": Policy.SET}))
    row = change("update", 1, T + 1, stock=6, city='["b"]', note='["y"]') | {"deltas": {"stock": 1}}
    later.send("b", [schema_record(), row])
    later.merge()
    (merged,) = later.rows()
    assert (merged["stock"], merged["city"], merged["note"]) == (6, '["a","b"]', '"[\\"x\\",\\"y\\"]"')
    with reading(stored.engine) as connection:
        assert connection.execute(text("SELECT stock FROM table_orders")).scalar_one() == 6
