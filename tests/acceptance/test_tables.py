"""An application writes its tables, the agent captures them, both are killed: the hub has every change once."""

from __future__ import annotations

import base64
import json
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.shop import SCHEMA
from tests.acceptance.site import Site

ROOT = Path(__file__).parents[2]
KILLS = 8
_TABLES = """
[tables.orders]
database = "{database}"
poll = "50 ms"

[tables.customers]
database = "{database}"
poll = "50 ms"
"""
COLUMNS = {"orders": ("id", "customer, code, total, slip, note"), "customers": ("name", "city")}


class Shop:
    """The application as a process."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self._process: subprocess.Popen[str] | None = None
        self._starts = 0
        with sqlite3.connect(database) as connection:
            connection.executescript(SCHEMA)

    def start(self) -> None:
        self._starts += 1
        command = [sys.executable, "-m", "tests.acceptance.shop", str(self.database), str(self._starts)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "writing\n"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def rows(self, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The table as it is."""
        key, columns = COLUMNS[table]
        with sqlite3.connect(self.database) as connection:
            cursor = connection.execute(f"SELECT {key}, {columns} FROM {table}")
            titles = [each[0] for each in cursor.description]
            return {(row[0],): dict(zip(titles[1:], row[1:], strict=True)) for row in cursor}


def test_every_change_of_a_table_is_stored_once_whoever_is_killed(
    own_hub: Hub, sites: MakeSite, folder: Path, chance: random.Random
) -> None:
    hub, shop = own_hub, Shop(folder / "shop.db")
    hub.stop()
    with (hub.data / "hub.toml").open("a") as settings:
        settings.write('[tables.orders]\npolicy = "last-write"\n')
    hub.start()
    site = sites(hub, started=False)
    with site.settings.open("a") as settings:
        settings.write(_TABLES.format(database=shop.database))
    checked = site.do("tables", "check", "--json").json
    assert [each["problems"] for each in checked] == [[], []]
    try:
        for _ in range(KILLS):
            victims = [shop.start, site.start]
            for start in victims:
                start()
            time.sleep(chance.uniform(0, 1))
            for kill in chance.sample([shop.kill, site.kill], 2):
                kill()
    finally:
        shop.kill()
    site.start()
    for table in COLUMNS:
        until(f"{table} is at the hub", lambda table=table: _is_there(hub, site, shop, table))  # type: ignore[misc]
        numbers = [record["number"] for record in _changes(hub, site, table)]
        assert numbers == list(range(1, len(numbers) + 1)), "a change is lost or doubled"
    until("orders is merged", lambda: _merged(hub) == _as_shown(shop.rows("orders")))
    assert len(shop.rows("orders")) > 20, "the shop has done next to nothing"
    assert site.status()["tables"][0]["complaint"] == ""
    _release(site, shop)


def _merged(hub: Hub) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = hub.do("tables", "show", "orders", "--limit", "1000", "--json").json
    return {(row.pop("id"),): row for row in rows}


def _as_shown(rows: dict[tuple[Any, ...], dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """`slip` is bytes, which JSON shows in hexadecimal; `note` may be anything, and stands as JSON."""
    for row in rows.values():
        row["slip"] = None if row["slip"] is None else row["slip"].hex()
        row["note"] = None if row["note"] is None else json.dumps(_plain(row["note"]), separators=(",", ":"))
    return rows


def _release(site: Site, shop: Shop) -> None:
    assert site.run("tables", "release", "orders").code == 3
    site.stop()
    text = site.settings.read_text()
    site.settings.write_text(text[: text.index("[tables.orders]")])
    site.do("tables", "release", "orders")
    site.do("tables", "release", "customers")
    assert site.run("tables", "release", "orders").code == 2
    with sqlite3.connect(shop.database) as connection:
        assert not connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE '%farshore%'").fetchall()


def test_a_table_that_cannot_be_captured_is_told_before_anything_is_touched(
    hub: Hub, sites: MakeSite, folder: Path
) -> None:
    site = sites(hub, started=False)
    database = folder / "other.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE loose (a, b)")
        connection.execute("CREATE VIEW seen AS SELECT * FROM loose")
    with site.settings.open("a") as settings:
        for name, path in (("loose", database), ("seen", database), ("gone", database), ("far", folder / "none.db")):
            settings.write(f'[tables.{name}]\ndatabase = "{path}"\n')
    said = site.run("tables", "check")
    assert said.code == 3
    for why in ("no primary key", "is a view", "no such table", "unable to open"):
        assert why in said.out, said.out
    with sqlite3.connect(database) as connection:
        assert len(connection.execute("SELECT name FROM sqlite_schema").fetchall()) == 2


def _is_there(hub: Hub, site: Site, shop: Shop, table: str) -> bool:
    copy: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in _changes(hub, site, table):
        key = tuple(record.get("key", {}).values())
        if record["op"] == "delete":
            del copy[key]
        elif record["op"] == "insert":
            assert key not in copy, record
            copy[key] = {name: _plain(value) for name, value in record["cells"].items()}
        elif record["op"] == "update":
            copy[key].update({name: _plain(value) for name, value in record["cells"].items()})
    real = {key: {name: _plain(value) for name, value in row.items()} for key, row in shop.rows(table).items()}
    return copy == real


def _plain(value: Any) -> Any:  # noqa: ANN401 - any SQL value
    """As JSON tells it."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    return value


def _changes(hub: Hub, site: Site, table: str) -> list[dict[str, Any]]:
    """What the hub has, in its order."""
    status, body = hub.request("GET", f"/v1/streams/{table}.changes/records?site={site.name}")
    assert status in {200, 404}, body
    records = [json.loads(line) for line in body.splitlines()] if status == 200 else []
    return sorted(records, key=lambda record: record["number"])
