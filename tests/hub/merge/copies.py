"""Copies of a world's table at sites that follow it, made of the pages that the hub's `Sharer` gives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine

from farshore_hub.merge.filters import Filter
from farshore_hub.share.sharer import Shared, Sharer
from farshore_protocol.tables import Ask, Followed
from tests.agent.buffer.world import FakeRandom
from tests.hub.merge.merging import NAME
from tests.hub.merge.worlds import World, rules


class Copy:
    """What one site has."""

    def __init__(self, sharer: Sharer, site: str) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.cursor = b""
        self._sharer = sharer
        self._site = site
        self._told: set[str] = set()

    def read(self) -> None:
        """Ask until there is no more."""
        more, is_reading = True, False
        while more:
            [page] = self._sharer.answer(self._site, Ask([Followed(NAME, self.cursor)])).pages
            if page.fresh:
                self._told, is_reading = set(), True
            names = [each.names[-1] for each in page.columns]
            for row in page.rows:
                self.rows[row.key[0]] = {name: row.cells.get(place) for place, name in enumerate(names)}
                self._told.add(row.key[0])
            for (key,) in page.gone:
                self.rows.pop(key, None)
            self.cursor, more = page.cursor, page.more
        if is_reading:
            self.rows = {key: row for key, row in self.rows.items() if key in self._told}


class Copies:
    """All sites' copies."""

    def __init__(self, engine: Engine, world: World, sites: int) -> None:
        sharer = Sharer(engine, FakeRandom(), {NAME: Shared(rules(world.deletes), Filter())})
        sharer.begin()
        self._copies = [Copy(sharer, f"site-{by}") for by in range(1, sites + 1)]

    def read(self, place: int) -> None:
        """One site asks."""
        self._copies[place].read()

    def read_all(self) -> Iterator[dict[str, dict[str, Any]]]:
        """Each site asks; then what it has, one after the other."""
        for copy in self._copies:
            copy.read()
            yield copy.rows
