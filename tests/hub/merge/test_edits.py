"""People at the hub change merged tables: by the same rules as sites, and never without their name."""

from __future__ import annotations

from typing import Any

import pytest

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merged.desk import TableDesk
from farshore_hub.merged.row import By
from farshore_hub.store.merge import AskedConflicts
from tests.hub.lake.stored import START_US, Stored
from tests.hub.merge.shops import Hub, change, schema_record

T = START_US - 10**6
ANNA = By("anna", "a test")


@pytest.fixture
def hub(stored: Stored) -> Hub:
    """A hub that has heard of two rows."""
    hub = Hub(stored, Rules())
    rows = [change("insert", key, T + key, city="Ulm", stock=key, note=None) for key in (1, 2)]
    hub.send("a", [schema_record(), *rows])
    hub.merge()
    return hub


def desk_of(hub: Hub) -> TableDesk:
    return TableDesk(hub.stored.engine, hub.stored.clock, {"orders": hub.rules})


def test_an_edit_wins_against_what_was_there_and_loses_against_what_comes_later(hub: Hub) -> None:
    told = desk_of(hub).change("orders", [1], {"stock": 7, "note": {"$bytes": "AAE="}}, ANNA)
    assert told.row == {"id": 1, "city": "Ulm", "stock": 7, "note": '{"$bytes":"AAE="}'}
    hub.stored.clock.us += 10**6
    hub.send("a", [change("update", 1, START_US - 5, stock=8)])
    hub.send("a", [change("update", 1, START_US + 5, stock=9)])
    hub.merge()
    assert [row["stock"] for row in hub.rows()] == [9, 2]
    lost = {(each["lost"]["value"], each["lost"]["site"], each["kept"]["site"]) for each in hub.conflicts()}
    assert lost == {("1", "a", None), (None, "a", None), ("8", "a", None), ("7", None, "a")}


def test_an_edit_is_later_than_all_that_the_row_has_also_when_the_hubs_clock_was_set_back(hub: Hub) -> None:
    hub.stored.clock.us -= 10**9
    assert desk_of(hub).change("orders", [1], {"stock": 7}, ANNA).row
    assert [row["stock"] for row in hub.rows()] == [7, 2]


def test_a_row_is_made_deleted_and_made_again(hub: Hub) -> None:
    desk = desk_of(hub)
    assert desk.change("orders", [3], {"city": "Bonn"}, ANNA).row == {
        "id": 3,
        "city": "Bonn",
        "stock": None,
        "note": None,
    }
    assert desk.delete("orders", [3], ANNA).row is None
    again = desk.change("orders", [3], {"stock": 1}, ANNA).row
    assert again == {"id": 3, "city": None, "stock": 1, "note": None}
    assert [row["version"] for row in hub.changed(0)] == sorted({row["version"] for row in hub.changed(0)})


def test_every_edit_is_kept_with_who_made_it_and_why(hub: Hub) -> None:
    desk = desk_of(hub)
    desk.change("orders", [1], {"stock": 7}, ANNA)
    desk.delete("orders", [2], By("bert"))
    told = [(each.made_by, each.op, each.key, each.cells, each.reason) for each in desk.edits("orders", 10)]
    assert told == [("bert", "delete", [2], {}, ""), ("anna", "update", [1], {"stock": 7}, "a test")]


@pytest.mark.parametrize(
    ("key", "cells", "said"),
    [
        ([1, 2], {"stock": 1}, "the key of a row is id: 1 value(s), not 2"),
        (["one"], {"stock": 1}, "the value of id is not a whole number of 64 bits"),
        ([None], {"stock": 1}, "no part of a key can be null"),
        ([1], {"stocks": 1}, "the table has no column 'stocks' beside its key; it has city, stock, note"),
        ([1], {"stock": 2**63}, "the value of stock is not a whole number of 64 bits"),
        ([1], {"stock": True}, "the value of stock is not a whole number of 64 bits"),
        ([1], {"city": "a\0b"}, "the value of city is not a text (without NUL)"),
        ([1], {"note": [1]}, 'the value of note is not a number, a text or bytes ({"$bytes": "BASE64"})'),
        ([1], {"note": {"$bytes": 5}}, "the value of note cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_whole(hub: Hub, key: list[Any], cells: dict[str, Any], said: str) -> None:
    before = hub.rows()
    with pytest.raises(Invalid) as refused:
        desk_of(hub).change("orders", key, cells, ANNA)
    assert str(refused.value) == said
    assert (hub.rows(), desk_of(hub).edits("orders", 10), hub.misfits()) == (before, [], [])


def test_what_is_not_there_cannot_be_changed(hub: Hub) -> None:
    with pytest.raises(Unknown, match="no table 'order' is merged here"):
        desk_of(hub).change("order", [1], {"stock": 1}, ANNA)
    with pytest.raises(Unknown, match="there is no row with this key"):
        desk_of(hub).delete("orders", [9], ANNA)
    with pytest.raises(Conflict, match="not merged any more"):
        TableDesk(hub.stored.engine, hub.stored.clock).change("orders", [1], {"stock": 1}, ANNA)


def test_the_hub_sets_counters_and_replaces_sets_and_sites_go_on_from_there(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"stock": Policy.SUM, "city": Policy.SET}))
    hub.send("a", [schema_record(), change("insert", 1, T, stock=10, city='["a", "b"]')])
    hub.merge()
    told = desk_of(hub).change("orders", [1], {"stock": 4, "city": ["c"]}, ANNA)
    assert told.row is not None
    assert (told.row["stock"], told.row["city"]) == (4, '["c"]')
    hub.stored.clock.us += 10**6
    hub.send("b", [schema_record(), change("update", 1, T + 1, stock=9, city='["b"]') | {"deltas": {"stock": -1}}])
    hub.send("b", [change("update", 1, START_US + 9, stock=8, city='["d"]') | {"deltas": {"stock": -1}}])
    hub.merge()
    assert [(row["stock"], row["city"]) for row in hub.rows()] == [(2, '["c","d"]')]


@pytest.mark.parametrize(("policy", "stands"), [(Policy.HUB, 7), (Policy.SITE, 9), (Policy.LAST_WRITE, 9)])
def test_the_hub_wins_over_sites_or_sites_over_the_hub(stored: Stored, policy: Policy, stands: int) -> None:
    hub = Hub(stored, Rules(columns={"stock": policy}))
    hub.send("a", [schema_record(), change("insert", 1, T, stock=1)])
    hub.merge()
    desk_of(hub).change("orders", [1], {"stock": 7}, ANNA)
    hub.stored.clock.us += 10**6
    hub.send("b", [schema_record(), change("update", 1, START_US + 9, stock=9)])
    hub.merge()
    desk_of(hub).change("orders", [1], {"note": "x"}, ANNA)
    assert [row["stock"] for row in hub.rows()] == [stands]


def test_what_sites_disagree_on_is_marked_until_the_hub_writes_it(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"stock": Policy.MANUAL}))
    hub.send("a", [schema_record(), change("insert", 1, T, stock=1), change("insert", 2, T, stock=1)])
    hub.send("b", [schema_record(), change("update", 1, T + 1, stock=2), change("update", 2, T + 1, stock=1)])
    hub.merge()
    assert [(row["stock"], row["_open"]) for row in hub.rows()] == [(2, 1), (1, 0)]
    desk_of(hub).change("orders", [1], {"stock": 3}, ANNA)
    assert [(row["stock"], row["_open"]) for row in hub.rows()] == [(3, 0), (1, 0)]
    hub.stored.clock.us += 10**6
    hub.send("a", [change("update", 1, START_US + 9, stock=4)])
    hub.merge()
    assert [(row["stock"], row["_open"]) for row in hub.rows()] == [(4, 0), (1, 0)]


def test_a_value_that_lost_is_put_back(hub: Hub) -> None:
    desk = desk_of(hub)
    hub.send("b", [schema_record(), change("update", 1, T + 9, stock=5, city="Bonn")])
    hub.merge()
    (stock,) = desk.conflicts(AskedConflicts(table="orders", column="stock", site="b", policy="last-write"))
    assert (stock.lost.value, stock.lost.site, stock.kept.site, stock.state) == ("1", "a", "b", "lost")
    assert desk.undo(stock.id, ANNA).row == {"id": 1, "city": "Bonn", "stock": 1, "note": None}
    assert desk.conflict(stock.id).state == "undone"
    with pytest.raises(Conflict, match="was undone already"):
        desk.undo(stock.id, ANNA)
    with pytest.raises(Unknown, match="there is no conflict 999"):
        desk.undo(999, ANNA)
    assert desk.conflicts(AskedConflicts(table="orders", state="open")) == []
    assert desk.conflicts(AskedConflicts(table="other")) == []


def test_a_row_that_was_deleted_is_made_again_by_undoing(hub: Hub) -> None:
    desk = desk_of(hub)
    hub.send("b", [schema_record(), change("delete", 1, T + 9)])
    hub.merge()
    lost = {each.column: each for each in desk.conflicts(AskedConflicts(policy="deleted"))}
    assert set(lost) == {"city", "stock"}
    assert desk.undo(lost["stock"].id, ANNA).row == {"id": 1, "city": "Ulm", "stock": 1, "note": None}


def test_what_would_lose_again_is_not_put_back(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"stock": Policy.MAX}))
    for site, stock in (("a", 1), ("b", 2)):
        hub.send(site, [schema_record(), change("insert", 1, T, stock=stock)])
    hub.merge()
    (lost,) = [each for each in desk_of(hub).conflicts(AskedConflicts()) if each.column == "stock"]
    with pytest.raises(Conflict, match="would lose again: stock follows the policy max"):
        desk_of(hub).undo(lost.id, ANNA)
    assert desk_of(hub).edits("orders", 10) == []


def test_a_cell_that_waits_is_resolved(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"note": Policy.MANUAL}))
    for site, note in (("a", b"1"), ("b", "2"), ("c", None)):
        hub.send(site, [schema_record(), change("insert", 1, T, note=note), change("insert", 2, T, note=note)])
    hub.merge()
    desk = desk_of(hub)
    waiting = {each.key: each for each in desk.conflicts(AskedConflicts(state="open"))}
    assert [row["_open"] for row in hub.rows()] == [1, 1]
    assert desk.resolve(waiting["[1]"].id, ANNA, "chosen").row == {
        "id": 1,
        "city": None,
        "stock": None,
        "note": '"chosen"',
    }
    desk.resolve(waiting["[2]"].id, ANNA)
    assert [row["_open"] for row in hub.rows()] == [0, 0]
    assert desk.conflicts(AskedConflicts(state="open")) == []
    with pytest.raises(Conflict, match="is resolved"):
        desk.resolve(waiting["[1]"].id, ANNA)


def test_a_sites_later_value_is_kept_when_its_earlier_one_comes_late_and_stands(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"city": Policy.FIRST_WRITE}))
    hub.send("a", [schema_record(), change("update", 1, T + 1, city="later")])
    hub.merge()
    hub.send("a", [change("insert", 1, T, city="first")])
    hub.merge()
    assert [(each["lost"]["value"], each["kept"]["value"]) for each in hub.conflicts()] == [('"later"', '"first"')]
