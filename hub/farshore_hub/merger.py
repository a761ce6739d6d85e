"""The loop that merges: batches of changes that are stored → the merged tables. Behind the accept path, restartable.

A batch is merged piece by piece, a transaction each, and then noted as merged. Merging the same changes again changes
nothing, so a crash in the middle costs only the work.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from sqlalchemy import Engine

from farshore_hub.lake.ports import Opener
from farshore_hub.merge.changes import ROW_OPS
from farshore_hub.merge.policy import Rules
from farshore_hub.merged.table import OpenTable, Origin
from farshore_hub.store import merge as store
from farshore_hub.store import misfits
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.merge import WaitingBatch
from farshore_hub.store.ranges import unpack_ranges
from farshore_protocol.changes import Op
from farshore_protocol.columns import Columns
from farshore_protocol.errors import ProtocolError
from farshore_protocol.ports import Clock, Runner

_log = logging.getLogger(__name__)

PIECE: Final = 2_000
"""Changes of one transaction: on SQLite the accept path waits for it."""

LOOK_EVERY_S: Final = 1.0
AGAIN_EVERY_S: Final = 60.0
"""How often what waits for a schema is looked at again, if nothing was merged meanwhile."""

_LOOK_BATCHES: Final = 20


class Merger:
    """Merges the declared tables. All its work is done on `runner`.

    Args:
        rules: by the name of a table.
        is_ours: whether this process is the one that works behind the accept path.
    """

    def __init__(
        self,
        engine: Engine,
        opener: Opener,
        clock: Clock,
        runner: Runner,
        rules: Mapping[str, Rules],
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._opener = opener
        self._clock = clock
        self._runner = runner
        self._rules = rules
        self._is_ours = is_ours
        self._after: dict[str, int] = {}
        self._attended: set[int] = set()
        self._tables: dict[str, OpenTable] = {}
        self._again_s = -math.inf

    async def run(self) -> None:
        """Merge what arrives, until cancelled."""
        while True:
            merged = await self._runner(self.merge_waiting) if self._rules and self._is_ours() else 0
            if not merged:
                await self._clock.sleep(LOOK_EVERY_S)

    def merge_waiting(self) -> int:
        """Merge some of what waits; how many batches."""
        if self._clock.monotonic_s() - self._again_s >= AGAIN_EVERY_S:
            # Where several processes store batches, one of a smaller number may come later.
            self._after, self._again_s = {}, self._clock.monotonic_s()
        merged = sum(self._merge_some(name, rules) for name, rules in self._rules.items())
        return merged + sum(self._try_again(name, rules) for name, rules in self._rules.items())

    def _try_again(self, name: str, rules: Rules) -> int:
        """Some misfits, after somebody has declared what becomes of them; how many were tried."""
        with reading(self._engine) as connection:
            found = store.find_table(connection, name)
            if found is None or not misfits.untried(connection, found[0], len(found[1].mapped), 1):
                return 0
        with writing(self._engine) as connection:
            table = OpenTable.opened(connection, name, rules, self._clock.now_us(), self._tables.get(name))
            return table.try_again(connection, PIECE, self._clock.now_us())

    def _merge_some(self, name: str, rules: Rules) -> int:
        """Merge the next batches of a table that can be; those that cannot are passed over."""
        merged = 0
        while not merged and (waiting := self._waiting(name)):
            merged = sum(self._merge_batch(name, rules, batch) for batch in waiting)
            # When one was merged, what has waited for a schema may be able to go.
            self._after[name] = 0 if merged else waiting[-1].id
        return merged

    def _waiting(self, name: str) -> list[WaitingBatch]:
        with reading(self._engine) as connection:
            return store.waiting(connection, name, self._after.get(name, 0), _LOOK_BATCHES)

    def _merge_batch(self, name: str, rules: Rules, batch: WaitingBatch) -> bool:
        """Whether it is merged now; one whose schema has not arrived yet has to wait."""
        try:
            records = _records(self._opener.columns(batch.site, batch.raw), batch)
        except ProtocolError as error:
            _log.warning("batch %d of %s.changes cannot be read: %s", batch.id, name, error)
            return False  # the lake's writer sets it aside
        with writing(self._engine) as connection:
            table = OpenTable.opened(connection, name, rules, self._clock.now_us(), self._tables.get(name))
            if table.id not in self._attended:
                table.attend(connection)
            table.take_in(connection, [record for record in records if record["op"] == Op.SCHEMA])
        self._attended.add(table.id)
        changes = [record for record in records if record["op"] in ROW_OPS]
        if not {change["schema"] for change in changes} <= table.layout.known:
            return False
        for start in range(0, len(changes), PIECE):
            origin = Origin(batch.site_id, batch.received_us + batch.before, batch.id, start)
            with writing(self._engine) as connection:
                # Somebody may have widened a column meanwhile.
                table = OpenTable.opened(connection, name, rules, self._clock.now_us(), table)
                table.merge(connection, changes[start : start + PIECE], origin, self._clock.now_us())
        self._tables[name] = table
        with writing(self._engine) as connection:
            store.note_merged(connection, table.id, batch.id)
            numbers = (record["number"] for record in records if isinstance(record.get("number"), int))
            store.note_numbers(connection, table.id, batch.site_id, max(numbers, default=0))
        return True


def _records(columns: Columns, batch: WaitingBatch) -> list[dict[str, Any]]:
    """The records that count of a batch."""
    fields: dict[str, Any] = {key: _listed(column) for key, column in columns.fields.items()}
    records: list[dict[str, Any]] = Columns(columns.count, fields).records()
    if batch.take is None:
        return records
    return [records[place] for place in _places(batch) if place < len(records)]


def _listed(column: Any) -> Any:  # noqa: ANN401 - a list, or what stands for one in the hub's decoder
    return column.tolist() if isinstance(column, np.ndarray) else column


def _places(batch: WaitingBatch) -> Iterator[int]:
    for first, last in unpack_ranges(batch.take or b""):
        yield from range(first - batch.first, last - batch.first + 1)
