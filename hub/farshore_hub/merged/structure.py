"""The SQL table of a merged table, its histories and its view: made, and brought up to its layout and rules.

Runs in the caller's transaction.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    Table,
    Text,
    bindparam,
    inspect,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, DropTable

from farshore_hub.merge.history import History
from farshore_hub.merge.policy import Policy
from farshore_hub.merge.statements import Statements
from farshore_hub.merge.types import SQL, Type, stored
from farshore_hub.store import merge as store
from farshore_hub.store.dialect import insert_missing

_VERSION: Final = "version"
_CHUNK: Final = 1_000


class Structure:
    """Of one merged table; `statements` are those of its present layout."""

    def __init__(self, table_id: int, name: str, statements: Statements) -> None:
        self._id = table_id
        self._name = name
        self._statements = statements

    def make(self, connection: Connection) -> None:
        """Make the table, which is known to have a key now."""
        connection.execute(CreateTable(self._statements.merged))
        connection.execute(CreateIndex(self._statements.by_version))
        self._follow_rules(connection)

    def grow(self, connection: Connection) -> None:
        """Add the columns that it lacks."""
        self._add_columns(connection, self._columns(connection))
        self._follow_rules(connection)
        self._show(connection)

    def widen(self, connection: Connection, place: int) -> None:
        """Let a cell hold any value: what stands in it stands as JSON text from now on, also in its history."""
        self._hide(connection)
        self._make_any(connection, self._statements.merged, f"c{place}", place)
        if self._statements.policies[place] is not Policy.LAST_WRITE:
            self._make_any(connection, History(self._id, self._statements, place).entries, "value", place)

    def _make_any(self, connection: Connection, table: Table, name: str, place: int) -> None:
        type_ = self._statements.layout.cells[place].type
        wide = Column(f"{name}_wide", SQL[Type.ANY])
        made = CreateColumn(wide).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {made}")
        keys, value = list(table.primary_key.columns), table.c[name]
        widened = Table(table.name, MetaData(), *(Column(each.name, each.type) for each in keys), wide)
        put = update(widened).where(*(widened.c[each.name] == bindparam(f"at_{each.name}") for each in keys))
        put = put.values({wide.name: bindparam("wide")})
        found = select(*keys, value).where(value.is_not(None)).order_by(*keys).limit(_CHUNK)
        rows = connection.execute(found).all()
        while rows:
            connection.execute(
                put,
                [
                    {f"at_{each.name}": part for each, part in zip(keys, row, strict=False)}
                    | {"wide": stored([bytes(row[-1]) if type_ is Type.BYTES else row[-1]], Type.ANY)[0]}
                    for row in rows
                ],
            )
            rows = connection.execute(found.where(tuple_(*keys) > tuple_(*rows[-1][:-1]))).all()
        connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP COLUMN {name}")
        connection.exec_driver_sql(f"ALTER TABLE {table.name} RENAME COLUMN {wide.name} TO {name}")

    def attend(self, connection: Connection) -> None:
        """See to it that it is as this version of the hub and the rules need it."""
        there = self._columns(connection)
        self._add_columns(connection, there)
        if _VERSION not in there:
            self._number(connection)
        self._follow_rules(connection)

    def _columns(self, connection: Connection) -> set[str]:
        return {each["name"] for each in inspect(connection).get_columns(self._statements.merged.name)}

    def _add_columns(self, connection: Connection, there: set[str]) -> None:
        merged = self._statements.merged
        for column in [column for column in merged.columns if column.name not in there]:
            made = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {merged.name} ADD COLUMN {made}")

    def _number(self, connection: Connection) -> None:
        """Give the rows of a table that was made before rows were numbered a number each."""
        merged, keys = self._statements.merged.name, ", ".join(self._statements.keys)
        same = " AND ".join(f"numbered.{each} = {merged}.{each}" for each in self._statements.keys)
        count = connection.exec_driver_sql(f"SELECT count(*) FROM {merged}").scalar_one()  # noqa: S608 - our own names
        before = store.number(connection, self._id, count)
        connection.exec_driver_sql(
            f"UPDATE {merged} SET version = {before:d} + numbered.place FROM "  # noqa: S608 - our own names
            f"(SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS place FROM {merged}) AS numbered WHERE {same}"
        )
        connection.execute(CreateIndex(self._statements.by_version))
        self._compare_bytes(connection)

    def _compare_bytes(self, connection: Connection) -> None:
        """Let PostgreSQL compare the texts of such a table as SQLite does."""
        if connection.dialect.name != "postgresql":
            return
        merged = self._statements.merged
        self._hide(connection)
        for column in [column for column in merged.columns if isinstance(column.type, Text)]:
            connection.exec_driver_sql(f'ALTER TABLE {merged.name} ALTER {column.name} TYPE TEXT COLLATE "C"')
        self._show(connection)

    def _follow_rules(self, connection: Connection) -> None:
        """Make what these rules need, where others were followed before, or none."""
        followed, statements = store.followed(connection, self._id), self._statements
        following = [*map(str, statements.policies)]
        if followed == (following, str(statements.deletes)):
            return
        before = followed[0] + [Policy.LAST_WRITE.value] * (len(following) - len(followed[0]))
        for place, (old, new) in enumerate(zip(before, following, strict=True)):
            if old != new:
                self._change_policy(connection, place, old)
        self._show(connection)
        store.follow(connection, self._id, following, str(statements.deletes))

    def _change_policy(self, connection: Connection, place: int, old: str) -> None:
        """Begin a cell's history with what stands there."""
        history = History(self._id, self._statements, place)
        if old != Policy.LAST_WRITE:
            connection.execute(DropTable(history.entries))
        policy = self._statements.policies[place]
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
        shown = self._statements.rows().compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        self._hide(connection)
        connection.exec_driver_sql(f"CREATE VIEW {view} AS {shown}")

    def _hide(self, connection: Connection) -> None:
        view = connection.dialect.identifier_preparer.quote(view_of(self._name))
        connection.execute(text(f"DROP VIEW IF EXISTS {view}"))


def view_of(table: str) -> str:
    """The name of the view that shows a merged table."""
    return f"table_{table}"
