"""Foreign keys of the application's tables, kept by whoever writes rows without SQLite looking to them.

Rows that come from the hub are written with foreign keys off: a row that leaves the site must not take others with it
by a cascade, which would then look as if the application had deleted them. So what a foreign key asks for is looked up
here before each row, and a row that has to wait for another is told which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import apsw

from farshore_agent.tables.changes import Value
from farshore_agent.tables.sql import quoted, row, rows


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: `columns` of `table` name a row of `parent` by its `targets`."""

    table: str
    columns: tuple[str, ...]
    parent: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class References:
    """Those that a table has, and those that other tables have to it."""

    own: tuple[Reference, ...] = ()
    to_it: tuple[Reference, ...] = ()

    @classmethod
    def of(cls, database: apsw.Connection, table: str) -> References:
        """All of a table of that database."""
        tables = [name for (name,) in rows(database, "SELECT name FROM sqlite_schema WHERE type = 'table'")]
        known = [each for name in tables for each in _references(database, name)]
        same = table.lower()
        return cls(
            tuple(each for each in known if each.table.lower() == same),
            tuple(each for each in known if each.parent.lower() == same),
        )

    def lacks(self, database: apsw.Connection, cells: Mapping[str, Value]) -> str:
        """Why a row cannot be written so: there is no row that it names."""
        for each in self.own:
            named = _picked(cells, each.columns)
            if named is None or None in named:
                continue
            is_itself = each.parent.lower() == each.table.lower() and _picked(cells, each.targets) == named
            if not is_itself and not _is_there(database, each.parent, each.targets, named):
                return f"there is no row in {each.parent} that its {', '.join(each.columns)} names"
        return ""

    def is_named(
        self, database: apsw.Connection, before: Mapping[str, Value], after: Mapping[str, Value] | None
    ) -> str:
        """Why a row cannot go, or become `after`: another one names it as it was `before`."""
        for each in self.to_it:
            named = _picked(before, each.targets)
            if named is None or None in named or (after is not None and _picked(after, each.targets) == named):
                continue
            itself = each.table.lower() == each.parent.lower() and _picked(before, each.columns) == named
            if _is_there(database, each.table, each.columns, named, others_than=int(itself)):
                return f"a row in {each.table} names it by its {', '.join(each.columns)}"
        return ""


def _references(database: apsw.Connection, table: str) -> Iterator[Reference]:
    found = rows(
        database, 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (table,)
    )
    for number in dict.fromkeys(each[0] for each in found):
        parts = [each[1:] for each in found if each[0] == number]
        parent = str(parts[0][0])
        named = tuple(target for _, _, target in parts if target is not None)
        targets = named if len(named) == len(parts) else _primary_key(database, parent)
        if len(targets) == len(parts):
            yield Reference(table, tuple(column for _, column, _ in parts), parent, targets)


def _primary_key(database: apsw.Connection, table: str) -> tuple[str, ...]:
    return tuple(
        name for (name,) in rows(database, "SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,))
    )


def _picked(cells: Mapping[str, Value], columns: Iterable[str]) -> tuple[Value, ...] | None:
    """The values of these columns, whatever the case of their names; None if they are not all there."""
    known = {name.lower(): value for name, value in cells.items()}
    names = [each.lower() for each in columns]
    return tuple(known[each] for each in names) if all(each in known for each in names) else None


def _is_there(
    database: apsw.Connection, table: str, columns: Iterable[str], values: tuple[Value, ...], others_than: int = 0
) -> bool:
    """Whether more than so many rows have these values."""
    if not row(database, "SELECT 1 FROM pragma_table_list(?) WHERE schema = 'main'", (table,)):
        return False
    where = " AND ".join(f"{quoted(each)} = ?" for each in columns)
    query = f"SELECT 1 FROM {quoted(table)} WHERE {where} LIMIT {others_than + 1:d}"  # noqa: S608 - names are quoted
    return len(rows(database, query, values)) > others_than
