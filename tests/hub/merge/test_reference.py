"""Tables that the hub itself defines and fills: whole or not at all, and with nothing but what differs."""

from __future__ import annotations

from typing import Any

import pytest

from farshore_hub.errors import Conflict, Invalid
from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merge.types import Type
from farshore_hub.merged.desk import TableDesk
from farshore_hub.merged.loading import MAX_ROWS
from farshore_hub.merged.row import By
from farshore_hub.merged.views import LoadedView
from tests.hub.lake.stored import START_US, Stored
from tests.hub.merge.shops import Hub, change, schema_record

ANNA = By("anna", "list of December")
KEY = {"shop": Type.TEXT, "article": Type.INTEGER}
CELLS = {"price": Type.REAL, "name": Type.TEXT, "photo": Type.BYTES, "sold": Type.INTEGER, "tags": Type.ANY}
RULES = Rules(columns={"sold": Policy.SUM, "tags": Policy.SET})


@pytest.fixture
def desk(stored: Stored) -> TableDesk:
    desk = TableDesk(stored.engine, stored.clock, {"prices": RULES})
    desk.reference.define("prices", KEY, CELLS, ANNA)
    return desk


def row(shop: str, article: int, **cells: Any) -> dict[str, Any]:  # noqa: ANN401 - any values
    return {"shop": shop, "article": article, **cells}


def loaded(added: int = 0, changed: int = 0, deleted: int = 0, unchanged: int = 0) -> LoadedView:
    return LoadedView(added=added, changed=changed, deleted=deleted, unchanged=unchanged)


def test_a_table_is_defined_and_filled_without_any_site(desk: TableDesk) -> None:
    (table,) = desk.tables()
    assert [(each.name, each.type, each.key) for each in table.columns] == [
        ("shop", "text", True),
        ("article", "integer", True),
        *((name, type_.value, False) for name, type_ in CELLS.items()),
    ]
    full = row("ulm", 1, price=9, name="Käse", photo={"$bytes": "AAE="}, sold=3, tags=["b", "a"])
    assert desk.reference.load("prices", [full, row("ulm", 2, price=1.5)], ANNA) == loaded(added=2)
    assert desk.rows("prices", 10) == [
        {
            "shop": "ulm",
            "article": 1,
            "price": 9.0,
            "name": "Käse",
            "photo": "0001",
            "sold": 3,
            "tags": '"[\\"a\\",\\"b\\"]"',
        },
        {"shop": "ulm", "article": 2, "price": 1.5, "name": None, "photo": None, "sold": None, "tags": None},
    ]


def test_what_is_loaded_again_changes_nothing_and_only_what_differs_is_an_edit(desk: TableDesk) -> None:
    rows = [row("ulm", number, price=number, photo={"$bytes": "AAE="}, sold=1, tags=["x", "y"]) for number in range(5)]
    desk.reference.load("prices", rows, ANNA)
    before = len(desk.edits("prices", 100))
    assert desk.reference.load("prices", rows, ANNA) == loaded(unchanged=5)
    rows[3]["price"], rows[4]["sold"] = 30, 4
    assert desk.reference.load("prices", rows, ANNA) == loaded(changed=2, unchanged=3)
    told = [(each.key, each.cells, each.made_by, each.reason) for each in desk.edits("prices", 100)]
    assert told[:-before] == [
        (["ulm", 4], {"sold": 4}, "anna", "list of December"),
        (["ulm", 3], {"price": 30.0}, "anna", "list of December"),
    ]
    assert [each["sold"] for each in desk.rows("prices", 10)] == [1, 1, 1, 1, 4]


def test_rows_that_are_not_in_a_replacement_go_and_come_back_whole(desk: TableDesk) -> None:
    desk.reference.load("prices", [row("ulm", number, price=number) for number in range(3)], ANNA)
    assert desk.reference.load("prices", [row("ulm", 1)], ANNA, replace=True) == loaded(deleted=2, unchanged=1)
    assert desk.reference.load("prices", [row("ulm", 2, name="new")], ANNA) == loaded(added=1)
    shown = [(each["article"], each["price"], each["name"]) for each in desk.rows("prices", 10)]
    assert shown == [(1, 1.0, None), (2, None, "new")]
    assert desk.reference.load("prices", [], ANNA, replace=True) == loaded(deleted=2)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("ulm", 1), row("ulm", 1, price=1)], "row 2: a row before it has the same key"),
        ([row("ulm", 1), {"shop": "ulm"}], "row 2: the key is missing: article"),
        ([row("ulm", 1, price="cheap")], "row 1: the value of price is not a number"),
        ([row("ulm", 1, colour="red")], "row 1: the table has no column 'colour'"),
        ([row("ulm", 1, sold=2**62)], "the counter sold cannot change by more than"),
        ([row("ulm", number) for number in range(MAX_ROWS + 1)], "load them in parts"),
    ],
)
def test_where_one_row_does_not_fit_nothing_is_written(desk: TableDesk, rows: list[dict[str, Any]], said: str) -> None:
    desk.reference.load("prices", [row("bonn", 1, price=1)], ANNA)
    with pytest.raises(Invalid) as caught:
        desk.reference.load("prices", [row("bonn", 2), *rows] if len(rows) == 1 else rows, ANNA, replace=True)
    assert said.replace("row 1", "row 2") in str(caught.value) or said in str(caught.value)
    assert [each["shop"] for each in desk.rows("prices", 10)] == ["bonn"]
    assert len(desk.edits("prices", 100)) == 1


def test_a_definition_grows_by_columns_and_never_gets_another_key(desk: TableDesk) -> None:
    desk.reference.define("prices", KEY, {"unit": Type.TEXT}, ANNA)
    assert [each.name for each in desk.tables()[0].columns][-2:] == ["tags", "unit"]
    with pytest.raises(Conflict, match="another key: shop text, article integer"):
        desk.reference.define("prices", {"shop": Type.TEXT, "number": Type.INTEGER}, {"never": Type.TEXT}, ANNA)
    assert "never" not in {each.name for each in desk.tables()[0].columns}


@pytest.mark.parametrize(
    ("name", "key", "cells", "error"),
    [
        ("unknown", KEY, {}, Conflict),
        ("prices", {}, CELLS, Invalid),
        ("prices", {" ": Type.TEXT}, {}, Invalid),
        ("prices", {"a\0": Type.TEXT}, {}, Invalid),
        ("prices", {"a": Type.TEXT}, {"A": Type.TEXT}, Invalid),
        ("prices", {"a" * 64: Type.TEXT}, {}, Invalid),
    ],
)
def test_what_cannot_be_a_table_is_refused(
    stored: Stored, name: str, key: dict[str, Type], cells: dict[str, Type], error: type[Exception]
) -> None:
    desk = TableDesk(stored.engine, stored.clock, {"prices": RULES})
    with pytest.raises(error):
        desk.reference.define(name, key, cells, ANNA)
    assert desk.tables() == []


def test_a_load_is_later_than_all_that_sites_have_written_and_is_merged_with_it(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), change("insert", 1, START_US - 5, city="Ulm", stock=1, note=None)])
    hub.merge()
    desk = TableDesk(stored.engine, stored.clock, {"orders": hub.rules})
    stored.clock.us -= 10**9
    given = [{"id": 1, "city": "Bonn"}, {"id": 2, "city": "Köln"}]
    assert desk.reference.load("orders", given, ANNA) == loaded(added=1, changed=1)
    assert [(each["city"], each["stock"]) for each in hub.rows()] == [("Bonn", 1), ("Köln", None)]
    stored.clock.us += 10**9 + 10**6
    hub.send("a", [change("update", 1, START_US + 5, stock=2)])
    hub.merge()
    assert [(each["city"], each["stock"]) for each in hub.rows()] == [("Bonn", 2), ("Köln", None)]
