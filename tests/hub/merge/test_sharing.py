"""A site that follows a table gets exactly the rows that it may see, however often and from wherever it asks."""

from __future__ import annotations

import random
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from farshore_hub.merge.filters import Term, parse
from farshore_hub.merge.policy import Rules
from farshore_hub.merge.types import Type
from farshore_hub.merged.desk import TableDesk
from farshore_hub.merged.row import By
from farshore_hub.share.cursor import Cursor, Epoch, pack, resumed
from farshore_hub.share.sharer import Shared, Sharer
from farshore_hub.store.engine import writing
from farshore_hub.store.schema import site_labels, sites
from farshore_protocol.tables import Ask, Followed, Page
from tests.agent.buffer.world import FakeRandom
from tests.hub.lake.stored import START_US, Stored
from tests.hub.merge.shops import CELLS, Hub, change, read, schema_record

T = START_US - 10**9
BY_CITY = "city = site.city"


class Reader:
    """A site that follows `orders`, and what it has of it."""

    def __init__(self, sharer: Sharer, site: str) -> None:
        self.sharer = sharer
        self.site = site
        self.cursor = b""
        self.rows: dict[Any, dict[str, Any]] = {}
        self.heard: set[Any] = set()
        self.pages = 0
        self._seen: set[Any] = set()

    def page(self) -> Page:
        [page] = self.sharer.answer(self.site, Ask([Followed("orders", self.cursor)])).pages
        if page.refused:
            return page
        self.cursor = page.cursor
        self.pages += 1
        if page.fresh:
            self._seen = set()
        for row in page.rows:
            told = {page.columns[place].names[-1]: value for place, value in row.cells.items()}
            self.rows[row.key[0]] = {name: told.get(name) for name in CELLS}
            self._seen.add(row.key[0])
        self.heard |= {row.key[0] for row in page.rows} | {key[0] for key in page.gone}
        for (key,) in page.gone:
            self.rows.pop(key, None)
        return page

    def read(self) -> Page:
        """Until there is no more."""
        is_fresh = False
        while True:
            page = self.page()
            is_fresh |= page.fresh
            if not page.more:
                if is_fresh:
                    self.rows = {key: row for key, row in self.rows.items() if key in self._seen}
                return page


def shared(stored: Stored, text: str = "") -> tuple[Hub, Sharer]:
    row_filter = parse(text)
    rules = Rules(scoped_by=row_filter.columns)
    hub = Hub(stored, rules)
    hub.send("shop-0", [schema_record()])
    hub.merge()
    sharer = Sharer(stored.engine, FakeRandom(), {"orders": Shared(rules, row_filter)})
    sharer.begin()
    return hub, sharer


def test_a_table_that_the_hub_defined_comes_down_like_any_other(stored: Stored) -> None:
    desk = TableDesk(stored.engine, stored.clock, {"orders": Rules()})
    desk.reference.define("orders", {"id": Type.INTEGER}, {"city": Type.TEXT, "stock": Type.INTEGER}, By("anna"))
    sharer = Sharer(stored.engine, FakeRandom(), {"orders": Shared(Rules(), parse(""))})
    sharer.begin()
    stored.add([], site="shop-1")
    reader = Reader(sharer, "shop-1")
    desk.reference.load("orders", [{"id": 1, "city": "Ulm"}, {"id": 2, "stock": 5}], By("anna"))
    reader.read()
    assert reader.rows == {
        1: {"city": "Ulm", "stock": None, "note": None},
        2: {"city": None, "stock": 5, "note": None},
    }
    desk.reference.load("orders", [{"id": 1, "city": "Ulm"}, {"id": 3}], By("anna"), replace=True)
    reader.heard.clear()
    reader.read()
    assert (set(reader.rows), reader.heard) == ({1, 3}, {2, 3})


def label(stored: Stored, site: str, **labels: str) -> None:
    with writing(stored.engine) as connection:
        site_id = connection.scalar(select(sites.c.id).where(sites.c.name == site))
        connection.execute(delete(site_labels).where(site_labels.c.site_id == site_id))
        for key, value in labels.items():
            connection.execute(insert(site_labels).values(site_id=site_id, key=key, value=value))


def rows_of(hub: Hub, city: str | None = None) -> dict[Any, dict[str, Any]]:
    return {key: row for key, row in read(hub.rows()).items() if city in {None, row["city"]}}


@pytest.mark.parametrize("seed", range(4))
def test_every_reader_has_the_rows_of_its_own_scope_whatever_happens(
    stored: Stored, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr("farshore_hub.share.sharer.ROWS", chance.choice([1, 3, 2000]))
    hub, sharer = shared(stored, BY_CITY)
    for site in ("shop-1", "shop-2"):
        hub.send(site, [schema_record()])
    cities = ["Ulm", "Köln"]
    readers = {city: Reader(sharer, f"shop-{place}") for place, city in enumerate(cities, 1)}
    for place, city in enumerate(cities, 1):
        label(stored, f"shop-{place}", city=city)
    was_in: dict[str, set[int]] = {city: set() for city in cities}
    present: set[int] = set()
    for step in range(25):
        records: list[dict[str, Any]] = []
        for _ in range(chance.randint(1, 4)):
            key, hlc = chance.randrange(8), T + 1000 * step + len(records)
            goes_to = chance.choice([*cities, "Bonn", None])
            if key not in present:
                present.add(key)
                records.append(change("insert", key, hlc, city=goes_to, stock=step, note=b"x"))
            elif chance.random() < 0.3:
                present.discard(key)
                records.append(change("delete", key, hlc))
                continue
            else:
                records.append(change("update", key, hlc, city=goes_to))
            if goes_to in was_in:
                was_in[goes_to].add(key)
        hub.send("shop-0", records)
        hub.merge()
        if chance.random() < 0.4:
            city = chance.choice(cities)
            readers[city].read() if chance.random() < 0.7 else readers[city].page()
    for city, reader in readers.items():
        reader.read()
        assert reader.rows == rows_of(hub, city)
        assert reader.heard <= was_in[city], "it has heard of a row that never was its own"


def test_without_a_filter_every_site_gets_everything_and_then_only_what_is_new(stored: Stored) -> None:
    hub, sharer = shared(stored)
    hub.send("shop-0", [change("insert", key, T + key, city="Ulm", stock=key, note=1.5) for key in range(20)])
    hub.merge()
    reader = Reader(sharer, "shop-0")
    page = reader.read()
    assert page.fresh
    assert reader.rows == rows_of(hub)
    assert page.hlc == T + 19
    hub.send("shop-0", [change("update", 3, T + 100, stock=99)])
    hub.merge()
    page = reader.page()
    assert ([row.key for row in page.rows], page.fresh) == ([[3]], False)
    assert reader.rows == rows_of(hub)
    page = reader.page()
    assert (page.rows, page.gone) == ([], [])


def test_a_change_that_loses_comes_down_too_and_its_number_is_told(stored: Stored) -> None:
    hub, sharer = shared(stored)
    hub.send("shop-0", [change("insert", 1, T + 50, city="Ulm") | {"number": 7}])
    hub.merge()
    reader = Reader(sharer, "shop-0")
    assert reader.read().merged == 7
    hub.send("shop-0", [change("update", 1, T + 10, city="Bonn") | {"number": 8}])
    hub.merge()
    page = reader.page()
    assert (len(page.rows), page.merged) == (1, 8)
    assert reader.rows[1]["city"] == "Ulm"


def test_a_site_that_gets_another_label_reads_anew_and_one_without_is_refused(stored: Stored) -> None:
    hub, sharer = shared(stored, BY_CITY)
    cities = ("Ulm", "Bonn")
    hub.send("shop-0", [change("insert", key, T + key, city=cities[key % 2]) for key in range(6)])
    hub.merge()
    reader = Reader(sharer, "shop-0")
    assert "label that this site does not have: city" in reader.page().refused
    label(stored, "shop-0", city="Ulm")
    reader.read()
    assert reader.rows == rows_of(hub, "Ulm")
    label(stored, "shop-0", city="Bonn")
    assert reader.read().fresh
    assert reader.rows == rows_of(hub, "Bonn")
    label(stored, "shop-0", city="'; DROP TABLE sites; --")
    reader.read()
    assert reader.rows == {}


def test_a_table_that_is_not_declared_down_is_refused(stored: Stored) -> None:
    _, sharer = shared(stored)
    [page] = sharer.answer("shop-0", Ask([Followed("secrets")])).pages
    assert "not declared" in page.refused
    assert not page.rows


def test_cells_that_nobody_wrote_are_not_told_and_nulls_are(stored: Stored) -> None:
    hub, sharer = shared(stored)
    hub.send("shop-0", [change("insert", 1, T, city=None)])
    hub.merge()
    [row] = Reader(sharer, "shop-0").read().rows
    assert row.cells == {0: None}


def test_a_row_that_is_too_large_is_left_out_and_counted(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farshore_hub.share.sharer.MAX_ROW_BYTES", 100)
    hub, sharer = shared(stored)
    hub.send("shop-0", [change("insert", 1, T, city="x" * 200), change("insert", 2, T + 1, city="y")])
    hub.merge()
    reader = Reader(sharer, "shop-0")
    assert reader.read().left_out == 1
    assert set(reader.rows) == {2}


def test_a_start_of_the_hub_ends_no_reading_but_another_past_does(stored: Stored) -> None:
    hub, sharer = shared(stored)
    hub.send("shop-0", [change("insert", key, T + key, city="Ulm") for key in range(5)])
    hub.merge()
    reader = Reader(sharer, "shop-0")
    reader.read()
    again = Sharer(stored.engine, _Other(), {"orders": Shared(hub.rules, parse(""))})
    again.begin()
    reader.sharer = again
    assert not reader.read().fresh
    reader.cursor = pack(Cursor(b"unknown!", b"", 3, 0))
    assert reader.read().fresh
    assert reader.rows == rows_of(hub)


class _Other(FakeRandom):
    def token(self, count: int) -> bytes:
        return b"\xff" * count


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.integers(0, 20)), min_size=1, unique_by=itemgetter(0)),
    st.integers(0, 30), st.binary(max_size=3), st.integers(-5, 40), st.integers(0, 10),
)  # fmt: skip
def test_a_cursor_counts_only_as_far_as_its_start_of_the_hub_had_come(
    starts: list[tuple[bytes, int]], version: int, name: bytes, at: int, grown: int
) -> None:
    epochs = [Epoch(each, since) for (each, _), since in zip(starts, sorted(since for _, since in starts), strict=True)]
    version = max(version, *(each.since for each in epochs), 0)
    cursor = Cursor(name, b"scope", at, 0)
    found = resumed(pack(cursor), b"scope", epochs, version)
    ends = {each.name: end for each, end in zip(epochs, [*(one.since for one in epochs[1:]), version], strict=True)}
    assert (found is not None) == (name in ends and 0 <= at <= ends[name])
    if found is not None:
        # It still counts after the hub has been started again, and has merged more.
        later = [*epochs, Epoch(b"later-start", version)]
        assert resumed(pack(cursor), b"scope", later, version + grown) == found


@given(st.binary(max_size=60))
def test_a_cursor_that_somebody_made_up_begins_a_reading_anew(raw: bytes) -> None:
    assert resumed(raw, b"scope", [Epoch(b"one", 0)], 10) is None


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("region = site.region", (Term("region", "region"),)),
        ("a = 'x and y' AND \"b c\" = -12", (Term("a", value="x and y"), Term("b c", value=-12))),
        ("who=site.name", (Term("who", "name"),)),
    ],
)
def test_filters_are_read(text: str, terms: tuple[Term, ...]) -> None:
    assert parse(text).terms == terms


@pytest.mark.parametrize("text", ["1 = 1", "a = b", "a = site.x or b = 1", "a = 'x'; DROP", "a > 1", "a = 1 and A = 2"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"COLUMN|once"):
        parse(text)
