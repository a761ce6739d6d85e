"""Whatever an application does to its table, the records that are captured add up to it."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest

from farshore_agent.tables.examine import release
from farshore_agent.tables.triggers import PREFIX
from tests.acceptance.shop import SCHEMA, change
from tests.agent.tables.application import ORDERS, Captured

ADD = "INSERT INTO orders (id, customer, code, total) VALUES (?, ?, ?, ?)"
HOUR_S = 3600


@pytest.fixture
def captured(tmp_path: Path) -> Captured:
    return Captured(tmp_path)


def test_what_was_there_before_is_told_first_and_only_once(tmp_path: Path) -> None:
    captured = Captured(tmp_path)
    for number in range(1, 701):
        captured.run(ADD, values=(number, f"c{number}", f"x{number}", number / 4))
    told = captured.look()
    assert [told[0]["op"], told[0]["key_columns"]] == ["schema", ["id"]]
    assert len(told) == 701
    assert captured.seen() == captured.real()
    assert captured.look() == []


def test_changes_are_told_cell_by_cell(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 1.5))
    captured.look()
    captured.run("UPDATE orders SET total = 2.5 WHERE id = 1")
    captured.run(ADD, values=(2, "Bob", None, 3))
    (update, insert) = captured.look()
    assert (update["op"], update["key"], update["cells"]) == ("update", {"id": 1}, {"total": 2.5})
    assert (insert["op"], insert["cells"]["customer"], insert["cells"]["total"]) == ("insert", "Bob", 3.0)
    captured.run("DELETE FROM orders WHERE id = 1")
    (delete,) = captured.look()
    assert (delete["op"], delete["key"], delete["cells"]) == ("delete", {"id": 1}, {})
    assert captured.seen() == captured.real()


def test_a_counter_says_by_how_much_it_changed_since_the_hub_was_told(tmp_path: Path) -> None:
    stock = "CREATE TABLE stock (id INTEGER PRIMARY KEY, left INTEGER, name TEXT)"
    captured = Captured(tmp_path, stock, table="stock", counters=("left", "nothing"))
    captured.run("INSERT INTO stock VALUES (1, 10, 'nails'), (2, NULL, 'nuts'), (3, 'many', 'bolts')")
    assert [record.get("deltas") for record in captured.look()] == [None] * 4
    for statement in ("left = left - 2", "left = left - 1, name = 'n'"):
        captured.run(f"UPDATE stock SET {statement} WHERE id = 1")
    captured.run("UPDATE stock SET left = 5 WHERE id > 1", "UPDATE stock SET name = 'm' WHERE id = 2")
    told = {record["key"]["id"]: record.get("deltas") for record in captured.look()}
    assert told == {1: {"left": -3}, 2: {"left": 5}, 3: None}
    captured.run("UPDATE stock SET name = 'o'")
    assert [record.get("deltas") for record in captured.look()] == [None] * 3


def test_changes_are_numbered_without_holes_and_stamped_in_order(captured: Captured) -> None:
    for number in range(1, 4):
        captured.run(ADD, values=(number, "Ann", None, 0))
        captured.look()
    assert [record["number"] for record in captured.records] == list(range(1, len(captured.records) + 1))
    stamps = [record["hlc"] for record in captured.records]
    assert stamps == sorted(set(stamps))


def test_a_clock_that_is_wrong_is_corrected_by_what_the_hub_says(captured: Captured) -> None:
    day_us = 86_400_000_000
    captured.run(ADD, values=(1, "Ann", None, 0))
    captured.look()
    captured.offset_us = 400 * day_us
    captured.run(ADD, values=(2, "Ann", None, 0))
    (ahead,) = captured.look()
    captured.offset_us = -400 * day_us
    captured.run(ADD, values=(3, "Ann", None, 0))
    (back,) = captured.look()
    assert ahead["hlc"] - captured.records[1]["hlc"] > 399 * day_us
    assert back["hlc"] == ahead["hlc"] + 1


def test_states_that_came_and_went_between_two_looks_are_counted(captured: Captured) -> None:
    captured.look()
    captured.run(ADD, values=(1, "Ann", "a", 0))
    for total in range(1, 10):
        captured.run("UPDATE orders SET total = ? WHERE id = 1", values=(total,))
    (insert,) = captured.look()
    assert (insert["op"], insert["cells"]["total"], insert["states"]) == ("insert", 9.0, 9)


def test_a_row_that_came_and_went_is_not_told(captured: Captured) -> None:
    captured.look()
    captured.run(ADD, values=(1, "Ann", "a", 0))
    captured.run("DELETE FROM orders WHERE id = 1")
    assert captured.look() == []


def test_nothing_is_told_of_a_transaction_that_is_rolled_back(captured: Captured) -> None:
    captured.look()
    captured.run("BEGIN", "INSERT INTO orders (id, customer) VALUES (1, 'Ann')")
    assert captured.look() == []
    captured.run("ROLLBACK")
    assert captured.look() == []


def test_a_key_that_changes_is_a_row_that_goes_and_one_that_comes(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 0))
    captured.look()
    captured.run("UPDATE orders SET id = 7 WHERE id = 1")
    assert {record["op"] for record in captured.look()} == {"delete", "insert"}
    assert captured.seen() == captured.real()


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "REPLACE"])
def test_a_row_that_replaces_another_by_its_key(captured: Captured, verb: str) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 0))
    captured.look()
    captured.run(f"{verb} INTO orders (id, customer, code) VALUES (1, 'Bob', 'b')")
    captured.look()
    assert captured.seen() == captured.real()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO orders (id, customer, code) VALUES (2, 'Bob', 'a')",
        "UPDATE OR REPLACE orders SET code = 'a' WHERE id = 3",
    ],
)
def test_a_row_that_is_replaced_by_way_of_another_unique_column_is_gone(captured: Captured, statement: str) -> None:
    """No trigger tells of it, unless the application has set recursive_triggers."""
    captured.run(ADD, values=(1, "Ann", "a", 0))
    captured.run(ADD, values=(3, "Eve", "e", 0))
    captured.look()
    captured.run(statement)
    assert {"delete"} <= {record["op"] for record in captured.look()}
    assert captured.seen() == captured.real()


def test_a_row_that_is_replaced_is_gone_though_its_successor_has_changed_since(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 0))
    captured.look()
    captured.run("INSERT OR REPLACE INTO orders (id, customer, code) VALUES (2, 'Bob', 'a')")
    captured.run("UPDATE orders SET code = 'z' WHERE id = 2")
    captured.look()
    assert captured.seen() == captured.real()


def test_a_row_that_is_replaced_by_way_of_an_index_is_found_when_the_rows_are_counted(tmp_path: Path) -> None:
    """A trigger must not name the column: with its index gone, it may be dropped."""
    captured = Captured(
        tmp_path, "CREATE TABLE orders (id INTEGER PRIMARY KEY, v)", "CREATE UNIQUE INDEX u ON orders (v)"
    )
    captured.run("INSERT INTO orders VALUES (1, 'a')")
    captured.look()
    captured.clock.advance(61)
    captured.run("INSERT OR REPLACE INTO orders VALUES (2, 'a')", "UPDATE orders SET v = 'z'")
    captured.look()
    assert captured.seen("v") == captured.real("v")
    captured.run("DROP INDEX u", "ALTER TABLE orders DROP COLUMN v")


def test_upserts_and_cascades(tmp_path: Path) -> None:
    lines = "CREATE TABLE lines (id INTEGER PRIMARY KEY, o REFERENCES orders (id) ON DELETE CASCADE, n)"
    captured = Captured(tmp_path, ORDERS, lines, "PRAGMA foreign_keys = ON", table="lines")
    captured.run("INSERT INTO orders (id, customer) VALUES (1, 'Ann'), (2, 'Bob')")
    captured.run("INSERT INTO lines VALUES (1, 1, 5), (2, 1, 6), (3, 2, 7)")
    captured.look()
    captured.run("INSERT INTO lines VALUES (3, 2, 8) ON CONFLICT (id) DO UPDATE SET n = n + 1")
    captured.run("DELETE FROM orders WHERE id = 1")
    captured.look()
    assert captured.seen("o", "n") == captured.real("o", "n") == {(3,): {"o": 2, "n": 8}}


def test_types_are_kept(tmp_path: Path) -> None:
    captured = Captured(tmp_path, "CREATE TABLE orders (id PRIMARY KEY, v) WITHOUT ROWID")
    values = [
        1,
        1.5,
        "1",
        b"1",
        None,
        -(2**63),
        2**63 - 1,
        1e300,
        "naïve\0☂",
        b"\0\xff",
        "",
        b"",
        0.1 + 0.2,
        float("inf"),
    ]
    for number, value in enumerate(values):
        captured.run("INSERT INTO orders VALUES (?, ?)", values=(number, value))
    captured.look()
    told = {key[0]: (type(row["v"]), row["v"]) for key, row in captured.copy.items()}
    assert told == {number: (type(value), value) for number, value in enumerate(values)}
    captured.run("UPDATE orders SET v = 1.0 WHERE id = 0")
    assert captured.look()[0]["cells"] == {"v": 1.0}


def test_keys_of_all_kinds_name_their_own_rows(tmp_path: Path) -> None:
    """Composite, text, blobs; texts that differ in normalisation only; one key in two types."""
    captured = Captured(tmp_path, "CREATE TABLE orders (a, b BLOB, v, PRIMARY KEY (a, b)) WITHOUT ROWID")
    keys = [("é", 1), ("e\u0301", 1), (b"\xc3\xa9", 1), (1, "1"), (1, 1), ("1", 1), ("", b""), (1.5, -1)]
    for number, key in enumerate(keys):
        captured.run("INSERT INTO orders VALUES (?, ?, ?)", values=(*key, number))
    captured.look()
    captured.run("UPDATE orders SET v = v + 100")
    captured.look()
    captured.run("DELETE FROM orders WHERE a = 'é'")
    captured.look()
    assert captured.seen("v") == captured.real("v", key="a, b")
    assert len(captured.copy) == len(keys) - 1


def test_a_key_that_changes_its_case_only_is_another_key(tmp_path: Path) -> None:
    captured = Captured(tmp_path, "CREATE TABLE orders (id TEXT COLLATE NOCASE PRIMARY KEY, v)")
    captured.run("INSERT INTO orders VALUES ('ann', 1)")
    captured.look()
    captured.run("UPDATE orders SET id = 'Ann'")
    captured.look()
    assert captured.seen("v") == captured.real("v") == {("Ann",): {"v": 1}}


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate", "persist"])
def test_in_every_journal_mode_and_through_a_vacuum(tmp_path: Path, mode: str) -> None:
    captured = Captured(tmp_path, f"PRAGMA journal_mode = {mode}", ORDERS)
    captured.look()
    captured.run(ADD, values=(1, "Ann", "a", 0))
    captured.run(ADD, values=(9, "Bob", "b", 0))
    captured.look()
    captured.run("DELETE FROM orders WHERE id = 1", "VACUUM")
    captured.look()
    assert captured.seen() == captured.real()
    assert captured.application.execute("PRAGMA journal_mode").fetchone() == (mode,)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_statements_run(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    captured = Captured(tmp_path, "PRAGMA synchronous = OFF", *filter(str.strip, SCHEMA.split(";")))
    captured.run("PRAGMA foreign_keys = ON")
    columns = ("customer", "code", "total", "slip", "note")
    for _ in range(40):
        for _ in range(chance.choice([0, 3, 12, 60])):
            with contextlib.suppress(sqlite3.IntegrityError):
                change(captured.application, chance)
        if chance.random() < 0.1:
            captured.stop()
            captured.start()
        captured.look()
        assert captured.seen(*columns) == captured.real(*columns)


# ------------------------------------------------------------------ the schema changes


def test_a_column_that_is_added_is_announced_and_its_values_told(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 0))
    captured.look()
    captured.run("ALTER TABLE orders ADD COLUMN weight DEFAULT 3", "ALTER TABLE orders ADD COLUMN height")
    captured.run("UPDATE orders SET height = 4")
    told = captured.look()
    assert (told[0]["op"], told[0]["columns"][-1]["name"]) == ("schema", "height")
    assert captured.seen("weight", "height") == captured.real("weight", "height")


def test_a_column_may_be_dropped_while_it_is_captured(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 0))
    captured.look()
    captured.run("ALTER TABLE orders DROP COLUMN note", "UPDATE orders SET total = 5")
    told = captured.look()
    assert [record["op"] for record in told] == ["schema", "update"]
    assert "note" not in {column["name"] for column in told[0]["columns"]}
    assert captured.seen("customer", "total") == captured.real("customer", "total")


def test_a_column_that_is_renamed_keeps_its_values(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 2))
    captured.look()
    captured.run("ALTER TABLE orders RENAME COLUMN total TO sum", "ALTER TABLE orders RENAME COLUMN id TO number")
    captured.run("INSERT INTO orders (number, customer, sum) VALUES (2, 'Bob', 4)")
    told = captured.look()
    assert (told[0]["op"], told[0]["renamed"]) == ("schema", {"total": "sum"})
    assert [record["op"] for record in told] == ["schema", "insert"]
    assert captured.seen("customer", "sum") == captured.real("customer", "sum", key="number")


def test_a_column_in_the_place_of_a_dropped_one_is_not_taken_for_it(captured: Captured) -> None:
    captured.run("INSERT INTO orders (id, customer, photo) VALUES (1, 'Ann', x'01')")
    captured.look()
    captured.run("ALTER TABLE orders DROP COLUMN photo", "ALTER TABLE orders ADD COLUMN film DEFAULT 7")
    told = captured.look()
    assert told[0]["renamed"] == {}
    assert captured.seen("customer", "film") == captured.real("customer", "film")


def test_a_table_that_is_made_anew_as_migrations_do_is_captured_on(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 2))
    captured.look()
    captured.run(
        "CREATE TABLE fresh (id INTEGER PRIMARY KEY, customer TEXT, total)",
        "INSERT INTO fresh SELECT id, customer, total FROM orders",
        "INSERT INTO fresh VALUES (5, 'Eve', 1)",
        "DROP TABLE orders",
        "ALTER TABLE fresh RENAME TO orders",
    )
    captured.look()
    captured.run("DELETE FROM orders WHERE id = 1")
    captured.look()
    assert captured.seen("customer", "total") == captured.real("customer", "total")


# ---------------------------------------------------------------------- faults


def test_a_look_that_was_cut_off_is_told_once(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 2))
    assert captured.capture.look() is not None
    captured.stop()  # before its records were appended, or just after: the buffer's checkpoint knows which
    captured.run("UPDATE orders SET total = 3 WHERE id = 1")
    captured.start()
    captured.look()
    assert captured.seen() == captured.real()
    assert [record["op"] for record in captured.records] == ["schema", "insert", "update"]


def test_a_database_that_is_restored_from_a_backup_is_compared_with_what_was_told(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 2))
    captured.look()
    backup = sqlite3.connect(captured.folder / "backup.db")
    captured.application.backup(backup)
    captured.run(ADD, values=(2, "Bob", "b", 2))
    captured.run("UPDATE orders SET total = 9 WHERE id = 1")
    captured.look()
    backup.backup(captured.application)
    captured.run(ADD, values=(3, "Eve", "c", 2))
    captured.run(ADD, values=(4, "Eva", "d", 2))
    captured.look()
    assert captured.seen() == captured.real()
    assert set(captured.copy) == {(1,), (3,), (4,)}


def test_what_no_trigger_has_seen_is_found_when_all_rows_are_compared(captured: Captured) -> None:
    captured.run(ADD, values=(1, "Ann", "a", 2))
    captured.run(ADD, values=(2, "Bob", "b", 2))
    captured.look()
    triggers = captured.application.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    captured.run(*(f'DROP TRIGGER "{name}"' for name, _ in triggers))
    captured.run("UPDATE orders SET total = 8 WHERE id = 1", "DELETE FROM orders WHERE id = 2")
    captured.run(*(sql for _, sql in triggers))
    captured.clock.advance(25 * HOUR_S)
    captured.look()
    assert captured.seen() == captured.real()


def test_text_that_is_no_utf_8_is_refused_once_and_the_rest_of_the_table_told(captured: Captured) -> None:
    captured.run("INSERT INTO orders (id, customer) VALUES (1, CAST(x'ff41' AS TEXT)), (2, 'Bob')")
    captured.look()
    assert captured.refused == [("the text in customer is not UTF-8", "(1,)")]
    captured.clock.advance(25 * HOUR_S)
    captured.look()
    assert len(captured.refused) == 1
    assert set(captured.copy) == {(2,)}


def test_nothing_is_left_in_the_database_when_a_table_is_released(captured: Captured) -> None:
    before = ORDERS
    captured.look()
    captured.run(ADD, values=(1, "Ann", "a", 2))
    captured.stop()
    assert release(captured.folder, "orders") == str(captured.database)
    left = captured.application.execute("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    assert left == [("orders",)]
    assert captured.application.execute("SELECT sql FROM sqlite_schema WHERE name = 'orders'").fetchone() == (before,)
    assert captured.application.execute("SELECT count(*) FROM orders").fetchone() == (1,)


def test_the_log_in_the_database_does_not_grow(captured: Captured) -> None:
    captured.look()
    for number in range(5_000):
        captured.run("INSERT OR REPLACE INTO orders (id, customer) VALUES (?, 'x')", values=(number % 10,))
        if number % 500 == 0:
            captured.look()
    captured.look()
    assert captured.application.execute(f'SELECT count(*) FROM "{PREFIX}orders"').fetchone()[0] < 1_100
