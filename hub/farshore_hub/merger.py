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
from sqlalchemy import Connection, Engine, delete, insert, text
from sqlalchemy.schema import CreateColumn, CreateTable, DropTable

from farshore_hub.lake.ports import Opener
from farshore_hub.merge.changes import ROW_OPS, Staging, stage
from farshore_hub.merge.conflicts import conflicts
from farshore_hub.merge.layout import Layout, Misfit
from farshore_hub.merge.policy import Rules
from farshore_hub.merge.statements import Statements
from farshore_hub.store import merge as store
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.merge import WaitingBatch
from farshore_hub.store.ranges import unpack_ranges
from farshore_hub.texts import exact_json
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
        return sum(self._merge_some(name, rules) for name, rules in self._rules.items())

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
            table = _Table.opened(connection, name, rules, self._clock.now_us())
            table.take_in(connection, [record for record in records if record["op"] == Op.SCHEMA])
        changes = [record for record in records if record["op"] in ROW_OPS]
        if not {change["schema"] for change in changes} <= table.known:
            return False
        for start in range(0, len(changes), PIECE):
            with writing(self._engine) as connection:
                table.merge(connection, changes[start : start + PIECE], batch, start, self._clock.now_us())
        with writing(self._engine) as connection:
            store.note_merged(connection, table.id, batch.id)
        return True


class _Table:
    """One merged table, ready to be merged into."""

    def __init__(self, table_id: int, name: str, layout: Layout, rules: Rules) -> None:
        self.id = table_id
        self._name = name
        self._rules = rules
        self._layout = layout
        self._statements = self._made()

    @classmethod
    def opened(cls, connection: Connection, name: str, rules: Rules, now_us: int) -> _Table:
        table_id, layout = store.open_table(connection, name, now_us)
        return cls(table_id, name, layout, rules)

    @property
    def known(self) -> set[str]:
        """Fingerprints of schemas that were announced."""
        return {*self._layout.schemas, *dict(self._layout.refused)}

    def take_in(self, connection: Connection, announced: list[dict[str, Any]]) -> None:
        """Take in the schemas that a batch announces: columns are added, never changed or dropped."""
        before = self._layout
        for record in announced:
            try:
                self._layout = self._layout.with_schema(record)
            except Misfit as error:
                self._layout = self._layout.without(str(record["schema"]), str(error))
        if self._layout == before:
            return
        old, self._statements = self._statements, self._made()
        new = self._statements
        if not before.key and self._layout.key:
            connection.execute(CreateTable(new.merged))
        for column in [column for column in new.merged.columns if before.key and column.name not in old.merged.c]:
            made = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {new.merged.name} ADD COLUMN {made}")
        if self._layout.key:
            self._show(connection)
        store.save_layout(connection, self.id, self._layout)

    def merge(
        self, connection: Connection, changes: list[dict[str, Any]], batch: WaitingBatch, start: int, now_us: int
    ) -> None:
        """Merge some changes of a batch; `start` is the place of the first."""
        refused = dict(self._layout.refused)
        fits = [place for place, change in enumerate(changes) if change["schema"] not in refused]
        staging = stage([changes[place] for place in fits], self._layout, batch.site_id, batch.received_us + start)
        misfits = {fits[place]: why for place, why in staging.misfits.items()}
        misfits |= {place: refused[change["schema"]] for place, change in enumerate(changes)
                    if change["schema"] in refused}  # fmt: skip
        told = {start + place: (why, exact_json.dumps(changes[place])) for place, why in misfits.items()}
        store.note_misfits(connection, self.id, batch.id, told, now_us)
        if staging.rounds:
            self._merge_rounds(connection, staging, now_us)

    def _merge_rounds(self, connection: Connection, staging: Staging, now_us: int) -> None:
        statements = self._statements
        connection.execute(CreateTable(statements.staged))
        for places in staging.rounds:
            rows = [{name: values[place] for name, values in staging.columns.items()} for place in places]
            connection.execute(insert(statements.staged), rows)
            changes = {row["n"]: row for row in rows}
            contested = connection.execute(statements.contested()).mappings().all()
            lost = [each for row in contested for each in conflicts(statements, changes[row["n"]], dict(row))]
            store.note_conflicts(connection, self.id, lost, now_us)
            connection.execute(statements.merge(connection.dialect.name))
            connection.execute(delete(statements.staged))
        connection.execute(DropTable(statements.staged))

    def _made(self) -> Statements:
        return Statements(self.id, self._layout, self._rules)

    def _show(self, connection: Connection) -> None:
        """The view that people query."""
        view = connection.dialect.identifier_preparer.quote(view_of(self._name))
        shown = self._statements.rows().compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        connection.execute(text(f"DROP VIEW IF EXISTS {view}"))
        connection.exec_driver_sql(f"CREATE VIEW {view} AS {shown}")


def view_of(table: str) -> str:
    """The name of the view that shows a merged table."""
    return f"table_{table}"


def rows_of(connection: Connection, table_id: int, layout: Layout, rules: Rules, limit: int) -> list[dict[str, Any]]:
    """Rows of a merged table, with the present names of its columns."""
    if not layout.key:
        return []
    statements = Statements(table_id, layout, rules)
    order = [statements.merged.c[name] for name in statements.keys]
    return [dict(row) for row in connection.execute(statements.rows().order_by(*order).limit(limit)).mappings()]


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
