"""`farshore-hub tables`: merged tables are looked at and changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from farshore_hub.lake.files.location import in_folder
from farshore_hub.merge.policy import Rules
from farshore_hub.merged.table import OpenTable, Origin
from farshore_hub.opening import open_hub
from farshore_hub.store.engine import writing
from tests.hub.cli.conftest import Run
from tests.hub.lake.stored import START_US, Stored
from tests.hub.merge.shops import change, schema_record


@pytest.fixture
def orders(run: Run, folder: Path) -> None:
    """A table that is declared, and two sites' changes of it."""
    with (folder / "hub.toml").open("a") as settings:
        settings.write("\n[tables.orders]\n")
    with open_hub(folder) as hub:
        stored = Stored(hub.engine, in_folder(folder), folder)
        for site, stock in (("north", 4), ("south", 5)):
            stored.add([schema_record()], stream="orders.changes", site=site)
            with writing(hub.engine) as connection:
                table = OpenTable.opened(connection, "orders", Rules(), 0)
                table.take_in(connection, [schema_record()])
                row = change("insert", 1, START_US + stock, city="Ulm", stock=stock)
                table.merge(connection, [row], Origin(stock - 3, 2 * START_US), START_US)


@pytest.mark.usefixtures("orders")
def test_a_row_is_changed_and_deleted_and_the_book_says_by_whom(run: Run) -> None:
    said = run(
        "tables", "set", "orders", "1", "--cells", '{"stock": 9}', "--by", "anna", "--reason", "counted", "--json"
    )
    assert said.json["row"] == {"id": 1, "city": "Ulm", "stock": 9, "note": None}
    assert run("tables", "show", "orders", "--json").json == [said.json["row"]]
    assert run("tables", "delete", "orders", "1").out == "there is no such row now\n"
    assert run("tables", "show", "orders", "--json").json == []
    told = [(each["op"], each["key"], each["reason"]) for each in run("tables", "edits", "orders", "--json").json]
    assert told == [("delete", [1], ""), ("update", [1], "counted")]
    assert "counted" in run("tables", "edits", "orders").out
    assert [each["columns"][1]["policy"] for each in run("tables", "list", "--json").json] == ["last-write"]


@pytest.mark.usefixtures("orders")
def test_a_value_that_has_lost_is_listed_shown_and_put_back(run: Run) -> None:
    (lost,) = run("tables", "conflicts", "orders", "--site", "north", "--column", "stock", "--json").json
    assert (lost["lost"]["value"], lost["kept"]["value"], lost["reason"]) == (
        "4",
        "5",
        "the other one was written later",
    )
    assert run("tables", "conflicts", "--state", "open", "--json").json == []
    assert "the other one was written later" in run("tables", "conflict", lost["id"]).out
    assert run("tables", "undo", lost["id"], "--json").json["row"]["stock"] == 4
    assert run("tables", "undo", lost["id"]).exit_code == 6
    assert "undone" in run("tables", "conflicts").out
    assert run("tables", "resolve", lost["id"], "--value", "5").exit_code == 6


@pytest.mark.usefixtures("orders")
def test_what_does_not_fit_is_listed_and_merged_after_it_was_mapped(run: Run, folder: Path) -> None:
    with open_hub(folder) as hub, writing(hub.engine) as connection:
        table = OpenTable.opened(connection, "orders", Rules(), 0)
        odd = change("insert", 2, START_US, city="Bonn", stock="many")
        table.merge(connection, [odd], Origin(1, 2 * START_US, 1), START_US)
    (waits,) = run("tables", "misfits", "orders", "--site", "north", "--json").json
    assert (waits["id"], waits["why"]) == ("1-0", "its value of stock is not integer")
    assert '"stock": "many"' in run("tables", "misfit", "1-0").out
    assert run("tables", "replay", "orders").out == "0 merged, 1 do not fit still\n"
    said = run("tables", "map", "orders", "--default", "stock=0", "--by", "anna", "--reason", "of old")
    assert said.out == "1 merged, 0 do not fit still\n"
    assert [row["stock"] for row in run("tables", "show", "orders", "--json").json] == [5, 0]
    assert "anna" in run("tables", "mappings", "orders").out
    assert "merged" in run("tables", "misfits", "--state", "all").out
    assert run("tables", "misfits", "--json").json == []


def test_a_table_is_defined_at_the_hub_and_filled_from_files(run: Run, folder: Path, tmp_path: Path) -> None:
    with (folder / "hub.toml").open("a") as settings:
        settings.write("\n[tables.prices]\ndown = true\n")
    columns = ("--column", "price:real", "--column", "name")
    said = run("tables", "define", "prices", "--key", "article", "--key", "size:integer", *columns)
    assert said.out.startswith("prices has the columns article text (key), size integer (key), price real, name text\n")
    prices = tmp_path / "prices.csv"
    prices.write_bytes('\N{BOM}article,size,price,name\nA-1,1,9.5,"Käse, jung"\nA-1,2,12,\n'.encode())
    said = run("tables", "load", "prices", prices, "--by", "anna")
    assert said.out == "2 added, 0 changed, 0 deleted, 0 as they were\n"
    lines = tmp_path / "prices.ndjson"
    lines.write_text('{"article": "A-1", "size": 2, "price": 11}\n\n{"article": "B", "size": 1}\n')
    told = run("tables", "load", "prices", lines, "--replace", "--json").json
    assert told == {"added": 1, "changed": 1, "deleted": 1, "unchanged": 0}
    assert run("tables", "show", "prices", "--json").json == [
        {"article": "A-1", "size": 2, "price": 11.0, "name": None},
        {"article": "B", "size": 1, "price": None, "name": None},
    ]


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("a.csv", b"id,stock\n1\n", "line 2 has another number of fields"),
        ("a.csv", b'id,stock\n1,"2\n', "is not CSV"),
        ("a.csv", b"id,stock\n1,many\n", "line 2: 'many' is no value of the column stock"),
        ("a.csv", b"id,weight\n1,2\n", "row 1: the table has no column 'weight'"),
        ("a.ndjson", b'{"id": 1}\n[]\n', "line 2: a row is a JSON object"),
        ("a.ndjson", b'{"id": 1}\n{"id"\n', "line 2 is not JSON"),
        ("a.ndjson", b'{"id": 1, "city": "\xff"}\n', "not UTF-8 at byte 19"),
        ("a.ndjson", b'{"city": "Ulm"}\n', "row 1: the key is missing: id"),
    ],
)
def test_a_file_that_does_not_fit_is_not_loaded(run: Run, tmp_path: Path, file: str, content: bytes, said: str) -> None:
    (tmp_path / file).write_bytes(content)
    ended = run("tables", "load", "orders", tmp_path / file)
    assert (ended.exit_code, said in ended.err) == (5, True)


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["define", "orders", "--key", "number:integer", "--column", "id"], 6, "with another key: id integer"),
        (["define", "nothing", "--key", "id"], 6, "write [tables.nothing] into hub.toml"),
        (["define", "orders", "--key", "id:uuid"], 2, "'uuid' is no type"),
        (["define", "orders", "--key", "id", "--key", "id"], 2, "there twice"),
        (["set", "orders", "1", "--cells", "{"], 5, "--cells is not JSON"),
        (["set", "orders", "1", "--cells", "[]"], 5, "at least one column"),
        (["set", "orders", "x", "--cells", '{"stock": 1}'], 5, "'x' is no value of the column id"),
        (["set", "orders", "1", "--cells", '{"stock": "1"}'], 5, "the value of stock is not a whole number"),
        (["set", "nothing", "1", "--cells", '{"stock": 1}'], 6, "no table 'nothing'"),
        (["delete", "orders", "7"], 6, "no row with this key"),
        (["map", "orders"], 2, "say one of"),
        (["map", "orders", "--default", "stock"], 2, "COLUMN=JSON"),
        (["map", "orders", "--default", "stock=many"], 5, "--default is not JSON"),
        (["map", "orders", "--widen", "id"], 5, "a key stays as it is"),
        (["misfit", "one"], 6, "'one' is not BATCH-PLACE"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, arguments: list[str], exit_code: int, said: str) -> None:
    ended = run("tables", *arguments)
    assert (ended.exit_code, said in ended.err) == (exit_code, True)
