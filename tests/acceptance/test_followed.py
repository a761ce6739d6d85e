"""Two sites change one table while everything is killed: all copies become one, and nothing is told twice."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.site import Site
from tests.acceptance.stock import SCHEMA

ROOT = Path(__file__).parents[2]
KILLS = 2
_HUB = """
[tables.shelves]
down = true
filter = "region = site.region"

[tables.goods]
down = true
"""
_TABLES = """
[tables.shelves]
database = "{database}"
direction = "{shelves}"
poll = "200 ms"
pull = "200 ms"

[tables.goods]
database = "{database}"
direction = "both"
poll = "200 ms"
pull = "200 ms"
"""


class Stock:
    """An application as a process."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self._process: subprocess.Popen[str] | None = None
        self._starts = 0
        self.run(*SCHEMA.split(";"))

    def run(self, *statements: str) -> None:
        with sqlite3.connect(self.database, timeout=60) as connection:
            for each in statements:
                connection.execute(each)

    def start(self) -> None:
        self._starts += 1
        command = [sys.executable, "-m", "tests.acceptance.stock", str(self.database), str(self._starts)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "writing\n"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.database, timeout=60) as connection:
            return sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)

    def are_references_kept(self) -> bool:
        with sqlite3.connect(self.database, timeout=60) as connection:
            return not connection.execute("PRAGMA foreign_key_check").fetchall()


def test_sites_that_change_one_table_come_to_have_the_same_whoever_is_killed(
    own_hub: Hub, sites: MakeSite, folder: Path, chance: random.Random
) -> None:
    hub, stocks = own_hub, [Stock(folder / f"{name}.db") for name in "ab"]
    hub.stop()
    with (hub.data / "hub.toml").open("a") as settings:
        settings.write(_HUB)
    hub.start()
    stocks[0].run("INSERT INTO shelves VALUES ('top', 'north'), ('low', 'north'), ('far', 'south')")
    both = [sites(hub, started=False) for _ in stocks]
    for site, stock, direction in zip(both, stocks, ("both", "down"), strict=True):
        hub.do("site", "label", site.name, "region=north")
        with site.settings.open("a") as settings:
            settings.write(_TABLES.format(database=stock.database, shelves=direction))
        assert [each["problems"] for each in site.do("tables", "check", "--json").json] == [[], []]
    try:
        for _ in range(KILLS):
            _start(stocks, both)
            time.sleep(chance.uniform(0.5, 1.5))
            if chance.random() < 0.5:
                hub.kill()
                hub.start()
            kills: list[Callable[[], None]] = [*(each.kill for each in stocks), *(each.kill for each in both)]
            for kill in chance.sample(kills, len(kills)):
                kill()
    finally:
        for stock in stocks:
            stock.kill()
    for site in both:
        site.start()
    until("all copies are the same", lambda: _are_one(hub, stocks))
    assert len(stocks[0].rows("goods")) > 5, "the applications have done next to nothing"
    assert [row[0] for row in stocks[1].rows("shelves")] == ["low", "top"], "the south is not its own"
    assert all(stock.are_references_kept() for stock in stocks)
    told = [_told(site) for site in both]
    stocks[0].run("UPDATE shelves SET region = 'south' WHERE name = 'low'")
    hub.do("tables", "set", "goods", "9999", "--cells", '{"title": "new"}', "--reason", "a test")
    until("the hub's row is there", lambda: all((9999,) in {row[:1] for row in each.rows("goods")} for each in stocks))
    stocks[1].run("UPDATE goods SET shelf = NULL WHERE shelf = 'low'")
    until("the shelf has left", lambda: [row[0] for row in stocks[1].rows("shelves")] == ["top"])
    until("all copies are the same", lambda: _are_one(hub, stocks))
    after = [_told(site) for site in both]
    assert after[0]["shelves"] == told[0]["shelves"] + 1
    assert after[1]["shelves"] == 0
    _nothing_is_echoed(both, stocks, after)


def _start(stocks: list[Stock], both: list[Site]) -> None:
    for stock in stocks:
        stock.start()
    for site in both:
        site.start()


def _nothing_is_echoed(both: list[Site], stocks: list[Stock], before: list[dict[str, int]]) -> None:
    """An edit at one site is one change there and none at the other, which has it all the same."""
    stocks[0].run("UPDATE goods SET title = 'seen' WHERE id = 9999")
    until(
        "it is at the other site", lambda: any(row[0] == 9999 and row[2] == "seen" for row in stocks[1].rows("goods"))
    )
    time.sleep(0.3)
    after = [_told(site) for site in both]
    assert [each["goods"] - was["goods"] for each, was in zip(after, before, strict=True)] == [1, 0]


def _told(site: Site) -> dict[str, int]:
    return {each["table"]: each["changes"] for each in site.status()["tables"]}


def _are_one(hub: Hub, stocks: list[Stock]) -> bool:
    one, other = (each.rows("goods") for each in stocks)
    if one != other:
        return False
    with sqlite3.connect(f"file:{hub.data / 'hub.db'}?mode=ro", uri=True) as connection:
        merged = connection.execute("SELECT id, shelf, title, stock, price FROM table_goods").fetchall()
    return sorted(merged, key=repr) == sorted((row[:5] for row in one), key=repr)
