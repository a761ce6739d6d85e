"""One merged table, ready to be merged into: its layout, its SQL table and the view that people query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, Text, insert, inspect, text
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, DropTable

from farshore_hub.merge import filters
from farshore_hub.merge.changes import Staging, stage
from farshore_hub.merge.conflicts import conflicts, passed_over
from farshore_hub.merge.history import History
from farshore_hub.merge.layout import Layout, Misfit
from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merge.statements import HUB, NEVER, Statements
from farshore_hub.store import merge as store
from farshore_hub.store.dialect import insert_missing
from farshore_hub.texts import exact_json

_VERSION: Final = "version"
_CHUNK: Final = 1_000


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

    def __init__(self, table_id: int, name: str, layout: Layout, rules: Rules) -> None:
        self.id = table_id
        self.layout = layout
        self._name = name
        self._rules = rules
        self.statements = self._made()
        self._sql = _Prepared(table_id, self.statements)

    @classmethod
    def opened(
        cls, connection: Connection, name: str, rules: Rules, now_us: int, known: OpenTable | None = None
    ) -> OpenTable:
        """The table of that name, made if there is none; `known` if that is still what it looks like."""
        table_id, layout = store.open_table(connection, name, now_us)
        if known is not None and (known.id, known.layout) == (table_id, layout):
            return known
        return cls(table_id, name, layout, rules)

    @property
    def known(self) -> set[str]:
        """Fingerprints of schemas that were announced."""
        return {*self.layout.schemas, *dict(self.layout.refused)}

    def attend(self, connection: Connection) -> None:
        """See to it that the SQL table is as this version of the hub and these rules need it."""
        if not self.layout.key:
            return
        there = {each["name"] for each in inspect(connection).get_columns(self.statements.merged.name)}
        self._add_columns(connection, there)
        if _VERSION not in there:
            self._number(connection)
        self._follow_rules(connection)

    def take_in(self, connection: Connection, announced: list[dict[str, Any]]) -> None:
        """Take in the schemas that a batch announces: columns are added, never changed or dropped."""
        before = self.layout
        for record in announced:
            try:
                self.layout = self.layout.with_schema(record)
            except Misfit as error:
                self.layout = self.layout.without(str(record["schema"]), str(error))
        if self.layout == before:
            return
        old, self.statements = self.statements, self._made()
        self._sql = _Prepared(self.id, self.statements)
        if not before.key and self.layout.key:
            connection.execute(CreateTable(self.statements.merged))
            connection.execute(CreateIndex(self.statements.by_version))
        elif before.key:
            self._add_columns(connection, set(old.merged.c.keys()))
        if self.layout.key:
            self._follow_rules(connection)
        store.save_layout(connection, self.id, self.layout)

    def merge(self, connection: Connection, changes: Sequence[dict[str, Any]], origin: Origin, now_us: int) -> None:
        """Merge changes of one site, or of the hub, in their order."""
        before = store.number(connection, self.id, len(changes))
        refused = dict(self.layout.refused)
        fits = [place for place, change in enumerate(changes) if change["schema"] not in refused]
        staging = stage(
            [changes[place] for place in fits],
            self.layout,
            self.statements.declared,
            origin.by,
            origin.latest_us + origin.start,
        )
        misfits = {fits[place]: why for place, why in staging.misfits.items()}
        misfits |= {place: refused[change["schema"]] for place, change in enumerate(changes)
                    if change["schema"] in refused}  # fmt: skip
        told = {origin.start + place: (why, exact_json.dumps(changes[place])) for place, why in misfits.items()}
        store.note_misfits(connection, self.id, origin.batch_id, told, now_us)
        if staging.rows:
            # Edits are not in a batch: their numbers are those of the rows that they change.
            entered = (0, before) if origin.by == HUB else (origin.batch_id, origin.start)
            self._merge_staged(connection, staging, before, entered, now_us)

    def _merge_staged(
        self, connection: Connection, staging: Staging, before: int, entered: tuple[int, int], now_us: int
    ) -> None:
        statements, dialect = self.statements, connection.dialect.name
        connection.execute(CreateTable(statements.staged))
        connection.execute(insert(statements.staged), staging.rows)
        contested = connection.execute(self._sql.contested).mappings().all()
        self._note_departures(connection, before)
        connection.execute(self._sql.merge(dialect), {"before": before})
        is_ending = any(row["deleted_at"] > NEVER for row in staging.rows)
        batch, start = entered
        for place, history in self._sql.histories.items():
            entries = [entry | {"batch": batch, "n": entry["n"] + start} for entry in staging.entries.get(place, ())]
            insert_missing(connection, history.entries, entries)
            if entries or is_ending:
                for each in self._sql.settling(place, dialect):
                    connection.execute(each)
        self._note_conflicts(connection, staging, {row["n"]: dict(row) for row in contested}, now_us)
        connection.execute(DropTable(statements.staged))

    def _note_conflicts(
        self, connection: Connection, staging: Staging, before: dict[int, dict[str, Any]], now_us: int
    ) -> None:
        """Keep what has lost; `before` has the contested rows as they were."""
        lost = [passed_over(self.statements, each) for each in staging.passed]
        if before:
            since = [history.opened().label(f"c{place}_since") for place, history in self._sql.histories.items()
                     if not self.statements.policies[place].has_losers]  # fmt: skip
            after = connection.execute(self.statements.settled([*before], *since)).mappings()
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

    def _made(self) -> Statements:
        return Statements(self.id, self.layout, self._rules)

    def _add_columns(self, connection: Connection, there: set[str]) -> None:
        merged = self.statements.merged
        for column in [column for column in merged.columns if column.name not in there]:
            made = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {merged.name} ADD COLUMN {made}")

    def _number(self, connection: Connection) -> None:
        """Give the rows of a table that was made before rows were numbered a number each."""
        merged, keys = self.statements.merged.name, ", ".join(self.statements.keys)
        same = " AND ".join(f"numbered.{each} = {merged}.{each}" for each in self.statements.keys)
        count = connection.exec_driver_sql(f"SELECT count(*) FROM {merged}").scalar_one()  # noqa: S608 - our own names
        before = store.number(connection, self.id, count)
        connection.exec_driver_sql(
            f"UPDATE {merged} SET version = {before:d} + numbered.place FROM "  # noqa: S608 - our own names
            f"(SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS place FROM {merged}) AS numbered WHERE {same}"
        )
        connection.execute(CreateIndex(self.statements.by_version))
        self._compare_bytes(connection)

    def _compare_bytes(self, connection: Connection) -> None:
        """Let PostgreSQL compare the texts of such a table as SQLite does."""
        if connection.dialect.name != "postgresql":
            return
        view, merged = connection.dialect.identifier_preparer.quote(view_of(self._name)), self.statements.merged
        connection.execute(text(f"DROP VIEW IF EXISTS {view}"))
        for column in [column for column in merged.columns if isinstance(column.type, Text)]:
            connection.exec_driver_sql(f'ALTER TABLE {merged.name} ALTER {column.name} TYPE TEXT COLLATE "C"')
        self._show(connection)

    def _follow_rules(self, connection: Connection) -> None:
        """Make what these rules need, where others were followed before, or none."""
        followed, statements = store.followed(connection, self.id), self.statements
        following = [*map(str, statements.policies)]
        if followed == (following, str(statements.deletes)):
            return
        before = followed[0] + [Policy.LAST_WRITE.value] * (len(following) - len(followed[0]))
        for place, (old, new) in enumerate(zip(before, following, strict=True)):
            if old != new:
                self._change_policy(connection, place, old)
        self._show(connection)
        store.follow(connection, self.id, following, str(statements.deletes))

    def _change_policy(self, connection: Connection, place: int, old: str) -> None:
        """Begin a cell's history with what stands there."""
        history = History(self.id, self.statements, place)
        if old != Policy.LAST_WRITE:
            connection.execute(DropTable(history.entries))
        policy = self.statements.policies[place]
        if policy is Policy.LAST_WRITE:
            return
        connection.execute(CreateTable(history.entries))
        if policy is not Policy.SET:
            connection.execute(history.begin())
            return
        cells = connection.execute(history.cells()).mappings().partitions(_CHUNK)
        for rows in cells:
            insert_missing(connection, history.entries, [*history.members(map(dict, rows))])

    def _show(self, connection: Connection) -> None:
        """The view that people query."""
        view = connection.dialect.identifier_preparer.quote(view_of(self._name))
        shown = self.statements.rows().compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        connection.execute(text(f"DROP VIEW IF EXISTS {view}"))
        connection.exec_driver_sql(f"CREATE VIEW {view} AS {shown}")


class _Prepared:
    """The statements of a table that are run for every piece: making them costs more than running them."""

    def __init__(self, table_id: int, statements: Statements) -> None:
        self._statements = statements
        places = [place for place, policy in enumerate(statements.policies) if policy is not Policy.LAST_WRITE]
        self.histories = {place: History(table_id, statements, place) for place in places}
        self._merges: dict[str, Any] = {}
        self._settling: dict[tuple[int, str], list[Any]] = {}

    @cached_property
    def contested(self) -> Any:  # noqa: ANN401 - a Select
        """The one that finds what meets others' values."""
        return self._statements.contested()

    def merge(self, dialect: str) -> Any:  # noqa: ANN401 - as of `Statements.merge`
        """The one that merges."""
        if dialect not in self._merges:
            self._merges[dialect] = self._statements.merge(dialect)
        return self._merges[dialect]

    def settling(self, place: int, dialect: str) -> list[Any]:
        """Those that work a cell out of its history."""
        if (place, dialect) not in self._settling:
            history = self.histories[place]
            steps = [history.prune(), history.settle(dialect)]
            self._settling[place, dialect] = [step for step in steps if step is not None]
        return self._settling[place, dialect]


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


def changed_rows(
    connection: Connection, table_id: int, layout: Layout, rules: Rules, after: int, limit: int
) -> list[dict[str, Any]]:
    """Rows that have changed since a version, in its order; `Statements.changed` says what is in them."""
    if not layout.key:
        return []
    found = Statements(table_id, layout, rules).changed(after, limit)
    return [dict(row) for row in connection.execute(found).mappings()]
