"""The loop that forgets deletes: looks now and then whether every site has them. Blocking, behind the accept path."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from farshore_hub.merge.forgetting import Keeping, Verdict, judge
from farshore_hub.merge.policy import Rules
from farshore_hub.merged.table import OpenTable
from farshore_hub.store import forget as store
from farshore_hub.store.engine import writing
from farshore_hub.store.merge import find_table, number
from farshore_protocol.ports import Clock, Runner

_LOG: Final = logging.getLogger(__name__)

EVERY_S: Final = 600.0
ROWS: Final = 1_000
"""Of one transaction: on SQLite the accept path waits for it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A declared table: how it is merged, and how long its deletes are kept."""

    rules: Rules
    keeping: Keeping


class Forgetter:
    """Forgets the deletes of the declared tables. All its work is done on `runner`, the merger's.

    Args:
        kept: by the name of a table.
        is_ours: whether this process is the one that works behind the accept path.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        runner: Runner,
        kept: Mapping[str, Kept],
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._runner = runner
        self._kept = kept
        self._is_ours = is_ours

    async def run(self) -> None:
        """Forget what every site has, now and then, until cancelled."""
        while True:
            for name in self._kept if self._is_ours() else ():
                while await self._runner(lambda name=name: self.forget(name)):  # type: ignore[misc]
                    await self._clock.sleep(0)
            await self._clock.sleep(EVERY_S)

    def forget(self, name: str) -> int:
        """Forget some deletes of a table; how many."""
        kept, now_us = self._kept[name], self._clock.now_us()
        with writing(self._engine) as connection:
            known = find_table(connection, name)
            if known is None or not known[1].key:
                return 0
            table = OpenTable.opened(connection, name, kept.rules, now_us)
            # Nobody merges into it meanwhile.
            version = number(connection, table.id, 0)
            store.settle(connection, table.id, name)
            _, floor = store.horizon(connection, table.id)
            found = judge(store.readers(connection, table.id, name), kept.keeping, floor, version, now_us)
            store.let_in(connection, table.id, found.returned)
            gone = table.forget(connection, found.version, found.at, ROWS) if found.version and found.at > 0 else 0
            if gone:
                store.forgotten(connection, table.id, found.at, max(floor, found.version), found.out)
        self._tell(name, gone, found)
        return gone

    def _tell(self, name: str, gone: int, found: Verdict) -> None:
        if gone:
            out = "".join(f", {site} is counted out ({rule})" for site, rule in found.out.items())
            _LOG.info("%s: %d deletes are forgotten%s", name, gone, out)
        for site, why in found.awaited.items():
            _LOG.debug("%s: deletes are kept for %s: %s", name, site, why)
