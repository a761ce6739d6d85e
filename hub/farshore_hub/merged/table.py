"""One merged table, ready to be merged into: its layout, its SQL table and the view that people query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, delete, insert
from sqlalchemy.schema import CreateTable

from farshore_hub.merge import filters
from farshore_hub.merge.changes import TOO_OLD, WHILE_OUT, Staging, stage
from farshore_hub.merge.conflicts import conflicts, passed_over
from farshore_hub.merge.history import History
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.mapping import MapKind, Mapped, Unfit, fitted
from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merge.statements import HUB, NEVER, Statements
from farshore_hub.merged.structure import Structure
from farshore_hub.store import forget as forget_store
from farshore_hub.store import merge as store
from farshore_hub.store import misfits
from farshore_hub.store.dialect import insert_missing
from farshore_hub.store.misfits import WaitingMisfit
from farshore_hub.texts import exact_json

_ENOUGH: Final = 2**31 - 1
"""So many mappings are never declared."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where changes come from.

    Attributes:
        by: the number of the site, or `HUB`.
        latest_us: no change is later than this, whatever its clock says.
        batch_id: of the sealed batch; 0 for the hub's own.
        start: the place of the first change in it.
    """

    by: int
    latest_us: int
    batch_id: int = 0
    start: int = 0


class OpenTable:
    """A merged table within a process; what it does runs in the caller's transaction."""

    layout: Layout
    statements: Statements
    _structure: Structure
    _sql: _Prepared

    def __init__(self, table_id: int, name: str, layout: Layout, rules: Rules) -> None:
        self.id = table_id
        self._name = name
        self._rules = rules
        self._look_like(layout)

    @classmethod
    def opened(
        cls, connection: Connection, name: str, rules: Rules, now_us: int, known: OpenTable | None = None
    ) -> OpenTable:
        """The table of that name, made if there is none; `known` if that is still what it looks like."""
        table_id, layout = store.open_table(connection, name, now_us)
        if known is not None and (known.id, known.layout) == (table_id, layout):
            return known
        return cls(table_id, name, layout, rules)

    def attend(self, connection: Connection) -> None:
        """See to it that the SQL table is as this version of the hub and these rules need it."""
        if self.layout.key:
            self._structure.attend(connection)

    def take_in(self, connection: Connection, announced: list[dict[str, Any]]) -> None:
        """Take in the schemas that a batch announces: columns are added, never changed or dropped."""
        layout = self.layout
        for record in announced:
            layout = layout.with_schema(record)
        self._change_to(connection, layout)

    def map(self, connection: Connection, mapped: Mapped) -> None:
        """Follow from now on what somebody declares for values that do not fit."""
        place = self.layout.place_of(mapped.column)
        if mapped.kind is MapKind.WIDEN and place is not None:
            self._structure.widen(connection, place)
        self._change_to(connection, self.layout.with_mapped(mapped))

    def _change_to(self, connection: Connection, layout: Layout) -> None:
        before = self.layout
        if layout == before:
            return
        self._look_like(layout)
        if layout.key and not before.key:
            self._structure.make(connection)
        elif layout.key:
            self._structure.grow(connection)
        store.save_layout(connection, self.id, layout)

    def merge(
        self, connection: Connection, changes: Sequence[dict[str, Any]], origin: Origin, now_us: int
    ) -> dict[int, str]:
        """Merge changes of one site, or of the hub, in their order; by place, why one does not fit."""
        before = store.number(connection, self.id, len(changes))
        staging = self._staged(changes, origin, self._late(connection, changes, origin))
        told = {origin.start + place: (why, exact_json.dumps(changes[place])) for place, why in staging.misfits.items()}
        late = {place: each for place, each in told.items() if each[0] in {TOO_OLD, WHILE_OUT}}
        other = {place: each for place, each in told.items() if place not in late}
        misfits.note_misfits(connection, self.id, origin.batch_id, other, now_us, tried=len(self.layout.mapped))
        # No mapping makes them fit.
        misfits.note_misfits(connection, self.id, origin.batch_id, late, now_us, tried=_ENOUGH)
        if staging.rows:
            # Edits are not in a batch: their numbers are those of the rows that they change.
            entered = (0, before) if origin.by == HUB else (origin.batch_id, origin.start)
            self._merge_staged(connection, staging, before, entered, now_us)
        return staging.misfits

    def try_again(self, connection: Connection, limit: int, now_us: int) -> int:
        """Try some misfits once more that were not tried with all that is declared now; how many were tried."""
        tried = len(self.layout.mapped)
        waiting = misfits.untried(connection, self.id, tried, limit)
        for run in _runs(waiting):
            first = run[0]
            origin = Origin(first.site_id, first.received_us + first.before, first.batch_id, first.place)
            changes: list[Any] = [exact_json.loads(each.change) for each in run]
            still = self.merge(connection, changes, origin, now_us)
            outcomes = {each.place: still.get(n) for n, each in enumerate(run)}
            misfits.note_tried(connection, first.batch_id, outcomes, now_us, tried=tried)
        return len(waiting)

    def _late(self, connection: Connection, changes: Sequence[dict[str, Any]], origin: Origin) -> dict[int, str]:
        """By place, why a change comes too late to be merged: deletes are forgotten."""
        horizon, _ = forget_store.horizon(connection, self.id)
        if horizon == NEVER:
            return {}
        if origin.by != HUB and forget_store.is_out(connection, self.id, origin.by):
            return dict.fromkeys(range(len(changes)), WHILE_OUT)
        latest_us = origin.latest_us + origin.start
        return {n: TOO_OLD for n, each in enumerate(changes) if min(each["hlc"], latest_us + n) <= horizon}

    def _staged(self, changes: Sequence[dict[str, Any]], origin: Origin, late: dict[int, str]) -> Staging:
        """Stage changes; what does not fit once more, as somebody has declared it to be taken."""
        refused = dict(self.layout.refused)
        policies, latest_us = self.statements.declared, origin.latest_us + origin.start
        unfit = {
            place: refused[each["schema"]] for place, each in enumerate(changes) if each["schema"] in refused
        } | late
        staging = stage(changes, self.layout, policies, origin.by, latest_us, unfit)
        if staging.misfits.keys() == late.keys():
            return staging
        fitting, unfit = list(changes), dict(late)
        for place in staging.misfits.keys() - late.keys():
            try:
                fitting[place] = fitted(changes[place], self.layout, staging.faulty.get(place, ()))
            except Unfit as error:
                unfit[place] = str(error)
        return stage(fitting, self.layout, policies, origin.by, latest_us, unfit)

    def forget(self, connection: Connection, version: int, at: int, limit: int) -> int:
        """Take rows out that were deleted, up to a version, and on which nothing is later than `at`; how many."""
        statements = self.statements
        connection.execute(CreateTable(statements.staged, if_not_exists=True))
        connection.execute(statements.forgettable(version, at, limit))
        gone = connection.execute(statements.forget()).rowcount
        for history in self._sql.histories.values() if gone else ():
            connection.execute(history.forget())
        connection.execute(delete(statements.staged))
        return int(gone)

    def _merge_staged(
        self, connection: Connection, staging: Staging, before: int, entered: tuple[int, int], now_us: int
    ) -> None:
        statements, dialect = self.statements, connection.dialect.name
        connection.execute(CreateTable(statements.staged, if_not_exists=True))
        connection.execute(insert(statements.staged), staging.rows)
        contested = connection.execute(self._sql.contested).mappings().all()
        self._note_departures(connection, before)
        connection.execute(self._sql.merge(dialect), {"before": before})
        is_ending = any(row["deleted_at"] > NEVER for row in staging.rows)
        batch, start = entered
        for place, history in self._sql.histories.items():
            entries = [entry | {"batch": batch, "n": entry["n"] + start} for entry in staging.entries.get(place, ())]
            if not (entries or is_ending):
                continue
            numbers = [entry["n"] for entry in entries] or [start]
            piece = {"batch": batch, "first": min(numbers), "last": max(numbers)}
            is_sum = statements.policies[place] is Policy.SUM
            is_again = is_sum and connection.execute(self._sql.entered(place), piece).first() is not None
            insert_missing(connection, history.entries, entries)
            for each in self._sql.settling(place, dialect, is_again=is_again):
                connection.execute(each, piece)
        self._note_conflicts(connection, staging, {row["n"]: dict(row) for row in contested}, now_us)
        connection.execute(delete(statements.staged))

    def _note_conflicts(
        self, connection: Connection, staging: Staging, before: dict[int, dict[str, Any]], now_us: int
    ) -> None:
        """Keep what has lost; `before` has the contested rows as they were."""
        lost = [passed_over(self.statements, each) for each in staging.passed]
        if before:
            after = connection.execute(self._sql.settled, {"numbers": [*before]}).mappings()
            changes = {row["n"]: row for row in staging.rows}
            for row in after:
                n = row["n"]
                lost += conflicts(self.statements, changes[n], before[n], dict(row), staging.parts)
        store.note_conflicts(connection, self.id, lost, now_us)

    def _note_departures(self, connection: Connection, before: int) -> None:
        """Rows that may go over to other sites; whether they do, whoever makes a page looks when they have."""
        scoped = filters.places(self._rules.scoped_by, self.layout) or []
        cells = [name for name, _ in scoped if name in self.statements.cells]
        if not cells:
            return
        found = connection.execute(self.statements.departing(cells)).mappings().all()
        names = [name for name, _ in scoped]
        store.note_departures(
            connection,
            self.id,
            [
                (before + row["n"] + 1, [row[name] for name in names], [row[each] for each in self.statements.keys])
                for row in found
            ],
        )

    def _look_like(self, layout: Layout) -> None:
        self.layout = layout
        self.statements = Statements(self.id, layout, self._rules)
        self._structure = Structure(self.id, self._name, self.statements)
        self._sql = _Prepared(self.id, self.statements)


class _Prepared:
    """The statements of a table that are run for every piece: making them costs more than running them."""

    def __init__(self, table_id: int, statements: Statements) -> None:
        self._statements = statements
        places = [place for place, policy in enumerate(statements.policies) if policy is not Policy.LAST_WRITE]
        self.histories = {place: History(table_id, statements, place) for place in places}
        self._merges: dict[str, Any] = {}
        self._entered: dict[int, Any] = {}
        self._settling: dict[tuple[int, str, bool], list[Any]] = {}

    @cached_property
    def contested(self) -> Any:  # noqa: ANN401 - a Select
        """The one that finds what meets others' values."""
        return self._statements.contested()

    @cached_property
    def settled(self) -> Any:  # noqa: ANN401 - a Select
        """The one that reads what became of rows; with `c0_since`, when the life of a counter's or set's row began."""
        since = [history.opened().label(f"c{place}_since") for place, history in self.histories.items()
                 if not self._statements.policies[place].has_losers]  # fmt: skip
        return self._statements.settled(*since)

    def merge(self, dialect: str) -> Any:  # noqa: ANN401 - as of `Statements.merge`
        """The one that merges."""
        if dialect not in self._merges:
            self._merges[dialect] = self._statements.merge(dialect)
        return self._merges[dialect]

    def entered(self, place: int) -> Any:  # noqa: ANN401 - a Select
        """The one that tells whether a piece is merged again."""
        if place not in self._entered:
            self._entered[place] = self.histories[place].entered()
        return self._entered[place]

    def settling(self, place: int, dialect: str, *, is_again: bool) -> list[Any]:
        """Those that work a cell out of its history."""
        if (place, dialect, is_again) not in self._settling:
            history = self.histories[place]
            adding = None if is_again else history.add()
            steps = [history.prune(), adding, history.settle(dialect, after_adding=adding is not None)]
            self._settling[place, dialect, is_again] = [step for step in steps if step is not None]
        return self._settling[place, dialect, is_again]


def rows_of(connection: Connection, table_id: int, layout: Layout, rules: Rules, limit: int) -> list[dict[str, Any]]:
    """Rows of a merged table, with the present names of its columns."""
    if not layout.key:
        return []
    statements = Statements(table_id, layout, rules)
    order = [statements.merged.c[name] for name in statements.keys]
    return [dict(row) for row in connection.execute(statements.rows().order_by(*order).limit(limit)).mappings()]


def changed_rows(
    connection: Connection, table_id: int, layout: Layout, rules: Rules, after: int, limit: int
) -> list[dict[str, Any]]:
    """Rows that have changed since a version, in its order; `Statements.changed` says what is in them."""
    if not layout.key:
        return []
    found = Statements(table_id, layout, rules).changed(after, limit)
    return [dict(row) for row in connection.execute(found).mappings()]


def _runs(waiting: Sequence[WaitingMisfit]) -> list[list[WaitingMisfit]]:
    """Those that followed each other in a batch."""
    runs: list[list[WaitingMisfit]] = []
    for each in waiting:
        last = runs[-1][-1] if runs else None
        if last and (last.batch_id, last.place + 1) == (each.batch_id, each.place):
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs
