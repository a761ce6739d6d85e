"""Changes that do not fit are kept, and merged once somebody has said what they mean."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from farshore_hub.errors import Invalid, Unknown
from farshore_hub.merge.mapping import MapKind
from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merged.desk import TableDesk
from farshore_hub.merged.misfits import MisfitDesk
from farshore_hub.merged.row import By
from farshore_hub.store.engine import open_engine
from farshore_hub.store.misfits import AskedMisfits
from tests.hub.lake.stored import START_US, Stored
from tests.hub.merge.shops import COLUMNS, Hub, change, schema_record

T = START_US - 10**6
ANNA = By("anna", "a test")


def desk_of(hub: Hub) -> MisfitDesk:
    return TableDesk(hub.stored.engine, hub.stored.clock, {"orders": hub.rules}).misfits


def waiting(hub: Hub) -> list[str]:
    return [each.why for each in desk_of(hub).listed(AskedMisfits("orders"))]


@pytest.fixture
def hub(stored: Stored) -> Hub:
    """A hub with a row that fits, between two that do not."""
    hub = Hub(stored, Rules())
    rows = [change("insert", key, T + key, city="Ulm", stock=stock) for key, stock in enumerate(("many", 2, "few"), 1)]
    hub.send("a", [schema_record(), *rows])
    hub.merge()
    return hub


def declared(columns: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "type": type_, "not_null": False, "default": None} for name, type_ in columns.items()]


@pytest.mark.parametrize(
    ("kind", "to", "stocks", "more"),
    [
        (MapKind.DEFAULT, 0, [0, 2, 0], {}),
        (MapKind.DROP, None, [None, 2, None], {}),
        (MapKind.WIDEN, None, ['"many"', "2", '"few"'], {}),
        (MapKind.RENAME, "amount", [None, 2, None], {"amount": ['"many"', None, '"few"']}),
    ],
)
def test_what_does_not_fit_is_merged_as_it_was_declared_to_be(
    hub: Hub, kind: MapKind, to: object, stocks: list[Any], more: dict[str, list[Any]]
) -> None:
    assert waiting(hub) == ["its value of stock is not integer"] * 2
    told = desk_of(hub).declare("orders", "stock", kind, to, ANNA)
    assert (told.merged, told.waiting, waiting(hub)) == (2, 0, [])
    assert [row["stock"] for row in hub.rows()] == stocks
    assert {name: [row[name] for row in hub.rows()] for name in more} == more
    assert [row["city"] for row in hub.rows()] == ["Ulm"] * 3
    settled = desk_of(hub).listed(AskedMisfits("orders", state="merged"))
    assert [each.change["cells"]["stock"] for each in settled] == ["many", "few"]
    # What comes after it, under the same declaration, needs no second one.
    hub.send("b", [schema_record(), change("update", 2, T + 9, stock="none")])
    hub.merge()
    assert waiting(hub) == []


def test_a_change_that_is_merged_late_keeps_its_place_in_time(hub: Hub) -> None:
    hub.send("b", [schema_record(), change("update", 1, T + 50, stock=7), change("update", 3, T, stock=8)])
    hub.merge()
    desk_of(hub).declare("orders", "stock", MapKind.WIDEN, None, ANNA)
    assert [row["stock"] for row in hub.rows()] == ["7", "2", '"few"']
    lost = {(each["lost"]["value"], each["kept"]["value"]) for each in hub.conflicts()}
    assert lost == {('"many"', "7"), ("8", '"few"')}


def test_merging_a_misfit_again_and_again_counts_it_once(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"stock": Policy.SUM}))
    bare = change("update", 1, T + 2, stock=14, city=5) | {"deltas": {"stock": 4}}
    hub.send("a", [schema_record(), bare, change("insert", 1, T + 1, stock=10)])
    hub.merge()
    assert [row["stock"] for row in hub.rows()] == [10]
    desk = desk_of(hub)
    assert desk.declare("orders", "city", MapKind.DROP, None, ANNA).merged == 1
    assert [row["stock"] for row in hub.rows()] == [14]
    assert (desk.replay("orders").merged, [row["stock"] for row in hub.rows()]) == (0, [14])
    hub.forget_merged()
    hub.merge()
    assert [row["stock"] for row in hub.rows()] == [14]


def test_a_site_with_another_key_is_let_in_by_declarations(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("a", [schema_record(), change("insert", 1, T, city="Ulm")])
    hub.merge()
    columns = declared({"number": "INTEGER", "shop": "TEXT", "city": "TEXT", "depth": "REAL"})
    other = schema_record("cc", columns=columns, key_columns=["shop", "number"])
    row = change("insert", 2, T + 1, city="Bonn", depth=1.5) | {"schema": "cc", "key": {"shop": "b", "number": 2}}
    hub.send("b", [other, row])
    hub.merge()
    assert waiting(hub) == ["its key has shop, and that of the merged table id"]
    desk = desk_of(hub)
    assert desk.declare("orders", "shop", MapKind.DROP, None, ANNA).waiting == 1
    assert waiting(hub) == ["its key has number, and that of the merged table id"]
    assert desk.declare("orders", "number", MapKind.RENAME, "id", ANNA).merged == 1
    assert [(row["id"], row["city"], row["depth"]) for row in hub.rows()] == [(1, "Ulm", None), (2, "Bonn", 1.5)]


def test_a_missing_part_of_the_key_is_filled_in(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    two = schema_record("dd", key_columns=["id", "city"])
    hub.send("a", [two, change("insert", 1, T, stock=1) | {"schema": "dd", "key": {"id": 1, "city": "Ulm"}}])
    hub.send("b", [schema_record(), change("insert", 2, T, stock=2)])
    hub.merge()
    assert waiting(hub) == ["its key is id, and lacks city"]
    assert desk_of(hub).declare("orders", "city", MapKind.DEFAULT, "Bonn", ANNA).merged == 1
    assert [(row["id"], row["city"], row["stock"]) for row in hub.rows()] == [(1, "Ulm", 1), (2, "Bonn", 2)]


def test_a_site_that_returns_after_twenty_schema_changes_blocks_nothing_and_loses_nothing(stored: Stored) -> None:
    hub = Hub(stored, Rules())
    hub.send("here", [schema_record(), change("insert", 0, T, city="Ulm", stock=1)])
    hub.merge()
    columns = {"id": "INTEGER", "city": "TEXT", "stock": "INT", "note": ""}
    told: list[dict[str, Any]] = [schema_record()]
    for number in range(1, 21):
        renamed = {}
        match number % 4:
            case 0:  # a column comes
                columns[f"extra{number}"] = "REAL"
            case 1:  # one is renamed
                old = next(reversed(columns))
                columns[f"name{number}"] = columns.pop(old)
                renamed = {old: f"name{number}"}
            case 2:  # a type becomes another one
                columns["stock"] = "REAL" if columns["stock"] == "INT" else "TEXT" if number > 10 else "INT"
            case _:  # one goes
                columns.pop("city", None)
        schema = f"{number:04x}"
        told.append(schema_record(schema, columns=declared(columns), renamed=renamed))
        kind = columns["stock"]
        stock = f"{number} or so" if kind == "TEXT" else float(number) if kind == "REAL" else number
        cells: dict[str, Any] = {
            name: number + 0.5 for name, type_ in columns.items() if type_ == "REAL" and name != "stock"
        }
        cells |= {"city": f"city {number}"} if "city" in columns else {}
        told.append(change("insert", number, T + number, stock=stock, **cells) | {"schema": schema})
    hub.send("away", told)
    hub.send("here", [change("insert", 99, T, city="Bonn", stock=3)])
    hub.merge()
    texts = [row["key"]["id"] for row in told if isinstance(row.get("cells", {}).get("stock"), str)]
    assert texts
    assert [row["id"] for row in hub.rows()] == [0, *(n for n in range(1, 21) if n not in texts), 99]
    assert waiting(hub) == ["its value of stock is not integer"] * len(texts)
    told_once = desk_of(hub).declare("orders", "stock", MapKind.WIDEN, None, ANNA)
    assert (told_once.merged, told_once.waiting) == (len(texts), 0)
    rows = {row["id"]: row for row in hub.rows()}
    assert sorted(rows) == [*range(21), 99]
    assert {rows[n]["stock"] for n in texts} == {f'"{n} or so"' for n in texts}
    assert all(n + 0.5 in rows[n].values() for n in (4, 12, 20)), "a value of a column that came and was renamed"
    assert hub.conflicts() == []


def test_a_renamed_column_has_its_new_name_in_the_view(hub: Hub) -> None:
    renamed = [{**each, "name": "town"} if each["name"] == "city" else each for each in COLUMNS]
    hub.send("a", [schema_record("bb", columns=renamed, renamed={"city": "town"})])
    hub.merge()
    with hub.stored.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT * FROM table_orders").mappings().first()
    assert row is not None
    assert "town" in row


def test_a_column_with_a_history_is_widened_with_it(stored: Stored) -> None:
    hub = Hub(stored, Rules(columns={"stock": Policy.FIRST_WRITE}))
    hub.send("a", [schema_record(), change("insert", 1, T + 2, stock=5), change("insert", 2, T + 2, stock=6)])
    hub.send("b", [schema_record(), change("insert", 1, T + 1, stock="early")])
    hub.merge()
    desk_of(hub).declare("orders", "stock", MapKind.WIDEN, None, ANNA)
    assert [row["stock"] for row in hub.rows()] == ['"early"', "6"]
    hub.send("c", [schema_record(), change("insert", 2, T + 1, stock=2.5)])
    hub.merge()
    assert [row["stock"] for row in hub.rows()] == ['"early"', "2.5"]


def test_who_has_read_a_column_often_reads_it_also_after_it_was_widened(hub: Hub) -> None:
    reader = hub.stored.engine
    for _ in range(8):  # from the sixth time on, PostgreSQL has the statement prepared
        hub.rows()
    other = open_engine(reader.url.render_as_string(hide_password=False))
    try:
        TableDesk(other, hub.stored.clock, {"orders": hub.rules}).misfits.declare(
            "orders", "stock", MapKind.WIDEN, None, ANNA
        )
    finally:
        other.dispose()
    with suppress(DBAPIError):
        hub.rows()
    assert [row["stock"] for row in hub.rows()] == ['"many"', "2", '"few"']


@pytest.mark.parametrize(
    ("column", "kind", "to", "said"),
    [
        ("id", MapKind.WIDEN, None, "id cannot be widened: a key stays as it is: capture the table by another name"),
        ("colour", MapKind.WIDEN, None, "colour cannot be widened: the table has no such column"),
        ("note", MapKind.WIDEN, None, "note holds any value already"),
        ("stock", MapKind.DEFAULT, "many", "the default of stock is not integer"),
        ("colour", MapKind.DEFAULT, 1, "the table has no column colour"),
        ("stock", MapKind.RENAME, "stock", "a rename needs the name of another column"),
        ("id", MapKind.RENAME, "number", "id is a part of the table's key, and keeps its name"),
    ],
)
def test_what_makes_no_sense_is_refused(hub: Hub, column: str, kind: MapKind, to: object, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        desk_of(hub).declare("orders", column, kind, to, ANNA)
    assert str(refused.value) == said
    assert desk_of(hub).mappings("orders") == []


def test_who_declared_what_is_kept(hub: Hub) -> None:
    desk = desk_of(hub)
    desk.declare("orders", "stock", MapKind.DEFAULT, 0, ANNA)
    (told,) = desk.mappings("orders")
    assert (told.column, told.kind, told.to, told.made_by, told.reason) == ("stock", "default", "0", "anna", "a test")
    one = desk.listed(AskedMisfits("orders", state=""))[0]
    assert desk.misfit(one.id) == one
    with pytest.raises(Unknown):
        desk.misfit("999-9")
