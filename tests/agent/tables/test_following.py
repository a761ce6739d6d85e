"""Rows of the hub come into the application's table as the hub has them, and are never told as the site's own."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from farshore_agent.errors import AgentError
from farshore_agent.settings.tables import Direction, TableSettings
from farshore_agent.tables.examine import examine, release
from tests.agent.buffer.world import START_US
from tests.agent.tables.followed import Killed, Site, ToyHub, kill_after_the_commit

NOW = START_US


@pytest.fixture
def hub() -> ToyHub:
    return ToyHub()


def test_reference_data_comes_into_a_table_that_is_made_for_it(tmp_path: Path, hub: ToyHub) -> None:
    for key in range(30):
        hub.put(key, NOW, name=f"n{key}", price=key / 4)
    site = Site(tmp_path, hub, "a", Direction.DOWN, "CREATE TABLE other (a)")
    site.settle()
    assert site.rows() == hub.all()
    assert len(site.rows()) == 30
    hub.put(3, NOW + 1, price=99.0)
    hub.drop(4, NOW + 2)
    site.settle()
    assert site.rows() == hub.all()
    assert (4,) not in site.rows()
    hub.columns = (*hub.columns, "weight")
    hub.put(5, NOW + 3, weight=7)
    site.settle()
    assert site.rows() == hub.all()
    assert site.rows()[5,]["weight"] == 7


def test_what_both_sides_change_comes_together_and_nothing_is_echoed(tmp_path: Path, hub: ToyHub) -> None:
    one, two = Site(tmp_path / "one", hub, "one"), Site(tmp_path / "two", hub, "two")
    one.run("INSERT INTO goods VALUES (1, 'bolt', 1.5, x'00')")
    two.run("INSERT INTO goods VALUES (2, 'nut', 2, NULL)")
    for site in (one, two, one, two):
        site.settle()
    assert one.rows() == two.rows() == hub.all()
    assert len(one.rows()) == 2
    before, version = (one.told, two.told), hub.version
    one.run("UPDATE goods SET price = 9 WHERE id = 2")
    two.run("UPDATE goods SET name = 'NUT' WHERE id = 2")
    for site in (one, two, one, two):
        site.settle()
    assert one.rows() == two.rows() == hub.all()
    assert one.rows()[2,] == {"name": "NUT", "price": 9.0, "note": None}
    assert (one.told - before[0], two.told - before[1], hub.version - version) == (1, 1, 2)


def test_an_edit_that_is_on_its_way_is_not_undone_by_what_comes_meanwhile(tmp_path: Path, hub: ToyHub) -> None:
    hub.put(1, NOW, name="bolt", price=1.0)
    site = Site(tmp_path, hub)
    site.settle()
    site.run("UPDATE goods SET price = 5 WHERE id = 1")
    site.look()
    hub.put(1, NOW + 1, name="screw", price=2.0)
    site.pull()
    site.apply()
    assert site.rows()[1,] == {"name": "screw", "price": 5.0, "note": None}
    site.follower.look()
    assert site.follower.shown["held"] == 1
    site.settle()
    assert site.rows() == hub.all()
    assert hub.all()[1,]["price"] == 5.0
    site.follower.look()
    assert site.follower.shown["held"] == 0


def test_an_edit_that_was_not_looked_at_yet_is_kept_cell_by_cell_and_told(tmp_path: Path, hub: ToyHub) -> None:
    hub.put(1, NOW, name="bolt", price=1.0)
    site = Site(tmp_path, hub)
    site.settle()
    hub.put(1, NOW + 1, name="screw", price=2.0)
    hub.put(2, NOW + 1, name="nut")
    site.pull()
    site.run("UPDATE goods SET price = 5 WHERE id = 1")
    site.run("INSERT INTO goods (id, name) VALUES (2, 'mine')")
    site.apply()
    assert site.rows()[1,] == {"name": "screw", "price": 5.0, "note": None}
    assert site.rows()[2,]["name"] == "mine"
    site.look()
    assert [(each["op"], each["cells"]) for each in site.outgoing] == [
        ("update", {"price": 5.0}), ("insert", {"name": "mine", "price": None, "note": None})
    ]  # fmt: skip
    site.settle()
    assert site.rows() == hub.all()
    assert (hub.all()[1,]["price"], hub.all()[2,]["name"]) == (5.0, "mine")


def test_with_many_edits_that_nobody_has_looked_at_the_application_is_not_held_up_for_them(
    tmp_path: Path, hub: ToyHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farshore_agent.tables.follower.NOTED_AT_MOST", 5)
    site = Site(tmp_path, hub)
    hub.put(1, NOW, name="bolt")
    site.pull()
    for key in range(10, 16):
        site.run("INSERT INTO goods (id) VALUES (?)", (key,))
    assert not site.follower.apply()
    assert (1,) not in site.rows()
    site.look()
    assert site.follower.apply()
    assert (1,) in site.rows()


def test_a_piece_that_was_written_when_the_agent_was_killed_is_noted_at_its_next_start(
    tmp_path: Path, hub: ToyHub
) -> None:
    site = Site(tmp_path, hub)
    hub.put(1, NOW, name="bolt")
    site.pull()
    kill_after_the_commit(site.follower)
    with pytest.raises(Killed):
        site.apply()
    assert site.rows() == hub.all()
    site.stop()
    site.start()
    site.follower.attend()
    assert not site.follower.is_restoring
    site.look()
    assert site.told == 0
    site.follower.look()
    assert site.follower.shown["waiting"] == 0


def test_an_edit_that_loses_at_the_hub_is_set_right_at_the_site(tmp_path: Path, hub: ToyHub) -> None:
    hub.put(1, NOW, name="bolt", price=1.0)
    site = Site(tmp_path, hub)
    site.settle()
    site.run("UPDATE goods SET price = 5 WHERE id = 1")
    site.look()
    hub.put(1, NOW + 10**12, price=2.0)
    site.settle()
    assert site.rows() == hub.all()
    assert site.rows()[1,]["price"] == 2.0


def test_a_row_that_is_deleted_here_does_not_come_back_while_the_delete_is_on_its_way(
    tmp_path: Path, hub: ToyHub
) -> None:
    hub.put(1, NOW, name="bolt")
    site = Site(tmp_path, hub)
    site.settle()
    site.run("DELETE FROM goods")
    site.look()
    hub.put(1, NOW + 1, name="screw")
    site.pull()
    site.apply()
    assert site.rows() == {}
    site.settle()
    assert site.rows() == hub.all() == {}


def test_what_the_application_edits_after_a_row_came_is_later_whatever_its_clock_says(
    tmp_path: Path, hub: ToyHub
) -> None:
    hub.put(1, NOW + 10**13, name="bolt")
    site = Site(tmp_path, hub)
    site.settle()
    site.run("UPDATE goods SET name = 'mine'")
    site.settle()
    assert hub.all()[1,]["name"] == "mine"


def test_a_reading_anew_takes_out_what_is_not_the_sites_any_more_and_writes_only_what_differs(
    tmp_path: Path, hub: ToyHub
) -> None:
    for key in range(20):
        hub.put(key, NOW, name=f"n{key}")
    site = Site(tmp_path, hub)
    site.settle()
    told, written = site.told, site.follower.written
    hub.epoch += 1
    del hub.rows[7,]
    hub.put(8, NOW + 1, name="other")
    site.settle()
    assert site.rows() == hub.all()
    assert (7,) not in site.rows()
    assert site.told == told
    assert site.follower.written - written == 2


def test_a_row_that_the_applications_rules_refuse_is_set_aside_and_tried_again(tmp_path: Path, hub: ToyHub) -> None:
    schema = "CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL CHECK (price < 100), note)"
    site = Site(tmp_path, hub, "a", Direction.BOTH, schema)
    hub.put(1, NOW, name="bolt", price=500.0)
    hub.put(2, NOW, name="nut", price=5.0)
    site.settle()
    assert set(site.rows()) == {(2,)}
    site.follower.look()
    ((why, count),) = site.follower.shown["set_aside"].items()
    assert (count, "CHECK" in why) == (1, True)
    hub.put(1, NOW + 1, price=50.0)
    site.settle()
    assert site.rows() == hub.all()
    site.follower.look()
    assert site.follower.shown["set_aside"] == {}


def test_foreign_keys_are_kept_and_no_cascade_takes_rows_with_it(tmp_path: Path, hub: ToyHub) -> None:
    schema = (
        "CREATE TABLE shelves (name TEXT PRIMARY KEY)",
        "CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT REFERENCES shelves (name), price REAL, note)",
        "CREATE TABLE labels (good INTEGER REFERENCES goods ON DELETE CASCADE)",
    )
    site = Site(tmp_path, hub, "a", Direction.BOTH, *schema)
    hub.put(1, NOW, name="top")
    site.settle()
    assert site.rows() == {}
    site.run("INSERT INTO shelves VALUES ('top')")
    site.settle()
    assert site.rows() == hub.all() != {}
    site.run("INSERT INTO labels VALUES (1)")
    hub.drop(1, NOW + 1)
    site.settle()
    assert set(site.rows()) == {(1,)}
    site.follower.look()
    assert "labels names it" in str(site.follower.shown["set_aside"])
    site.run("DELETE FROM labels")
    site.settle()
    assert site.rows() == {}
    assert site.told == 0


def test_the_applications_triggers_do_not_run_for_what_comes(tmp_path: Path, hub: ToyHub) -> None:
    touch = (
        "CREATE TRIGGER touched AFTER INSERT ON goods BEGIN UPDATE goods SET note = 'touched' WHERE id = NEW.id; END"
    )
    site = Site(
        tmp_path, hub, "a", Direction.BOTH, "CREATE TABLE goods (id INTEGER PRIMARY KEY, name, price, note)", touch
    )
    hub.put(1, NOW, name="bolt")
    site.settle()
    assert site.rows() == hub.all()
    assert site.told == 0


def test_columns_that_one_side_lacks_are_left_out_and_told(tmp_path: Path, hub: ToyHub) -> None:
    schema = "CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT, colour TEXT NOT NULL DEFAULT 'grey')"
    site = Site(tmp_path, hub, "a", Direction.BOTH, schema)
    hub.put(1, NOW, name="bolt", price=2.0)
    site.settle()
    assert site.rows() == {(1,): {"name": "bolt", "colour": "grey"}}
    site.follower.look()
    assert site.follower.shown["missing"] == ["price", "note"]
    site.run("ALTER TABLE goods ADD COLUMN price REAL")
    site.settle()
    assert site.rows()[1,]["price"] == 2.0
    assert site.told == 0


@pytest.mark.parametrize("how", ["at rest", "after the commit"])
def test_an_older_database_gets_back_what_there_was_and_tells_nothing_of_it(
    tmp_path: Path, hub: ToyHub, how: str
) -> None:
    site = Site(tmp_path, hub)
    for key in range(5):
        site.run("INSERT INTO goods (id, name) VALUES (?, 'old')", (key,))
    site.settle()
    site.stop()
    site.application.close()
    shutil.copy(site.database, tmp_path / "backup.db")
    site = _reopened(site)
    hub.put(1, NOW + 10**9, name="new")
    hub.drop(2, NOW + 10**9)
    hub.put(9, NOW + 10**9, name="ninth")
    site.settle()
    assert site.rows() == hub.all()
    if how == "after the commit":
        hub.put(3, NOW + 10**9 + 1, name="third")
        site.pull()
        kill_after_the_commit(site.follower)
        with pytest.raises(Killed):
            site.apply()
    site.stop()
    site.application.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{site.database}{suffix}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", site.database)
    site = _reopened(site)
    site.settle()
    assert site.told == 0
    assert site.rows() == hub.all()


def _reopened(site: Site) -> Site:
    return Site(site.folder, site.hub, site.name, Direction.BOTH, "SELECT 1")


@pytest.mark.parametrize("seed", range(16))
def test_whatever_happens_in_whatever_order_all_copies_become_the_same(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    hub = ToyHub(limit=chance.choice([1, 3, 50]))
    sites = [Site(tmp_path / name, hub, name) for name in ("a", "b")]
    edits = 0
    for _ in range(120):
        for each in sites:
            each.clock.advance(chance.random())
        edits += _something(chance.choice(sites), chance)
    for _ in range(3):
        for site in sites:
            site.settle()
    told = sum(site.told for site in sites)
    for site in sites:
        assert site.rows() == hub.all()
        site.settle()
    assert sum(site.told for site in sites) == told <= edits, "something was echoed"


def _something(site: Site, chance: random.Random) -> int:
    """One thing that may happen; how many edits it was at most."""
    if chance.random() < 0.45:
        return _edit(site, chance)
    things: dict[Callable[[], object], int] = {
        site.look: 10,
        lambda: site.send(chance.randint(0, len(site.outgoing))): 10,
        site.pull: 15,
        site.follower.apply: 13,
        lambda: _kill(site): 4,
        lambda: setattr(site.hub, "epoch", site.hub.epoch + 1): 3,
    }
    [thing] = chance.choices(list(things), list(things.values()))
    thing()
    return 0


def _edit(site: Site, chance: random.Random) -> int:
    key, value = chance.randint(1, 6), chance.choice([None, 1, 2.5, "x", b"y", chance.random()])
    statement, values = chance.choice(
        [
            ("INSERT OR IGNORE INTO goods (id, name, note) VALUES (?, ?, ?)", (key, str(value), value)),
            ("UPDATE goods SET price = ? WHERE id = ?", (chance.random(), key)),
            ("UPDATE goods SET note = ?, name = ? WHERE id = ?", (value, str(chance.random()), key)),
            ("DELETE FROM goods WHERE id = ?", (key,)),
            ("UPDATE OR IGNORE goods SET id = ? WHERE id = ?", (chance.randint(1, 6), key)),
        ]
    )  # fmt: skip
    before = site.application.total_changes
    site.run(statement, values)
    return 2 * (site.application.total_changes - before)


def _kill(site: Site) -> None:
    kill_after_the_commit(site.follower)
    with contextlib.suppress(Killed):
        site.follower.apply()
    site.stop()
    site.start()


def test_what_would_be_done_is_told_and_a_release_leaves_no_trace(tmp_path: Path, hub: ToyHub) -> None:
    empty = TableSettings(database=tmp_path / "app.db", direction=Direction.DOWN)
    sqlite3.connect(tmp_path / "app.db").close()
    assert "would be made" in examine("goods", empty).would[0]
    hub.put(1, NOW, name="bolt")
    site = Site(tmp_path, hub, "a", Direction.DOWN, "CREATE TABLE other (a)")
    site.settle()
    site.run("CREATE TRIGGER mine AFTER UPDATE ON goods BEGIN SELECT 1; END")
    assert "its triggers do not run for them: mine" in examine("goods", empty).would
    site.stop()
    release(tmp_path, "goods")
    left = site.application.execute("SELECT name FROM sqlite_schema WHERE name LIKE '%farshore%'").fetchall()
    assert (left, len(site.rows())) == ([], 1)
    with pytest.raises(AgentError, match="no table"):
        release(tmp_path, "goods")
