"""The SQL that notes which rows an application changes, and that removes every trace of it.

Nothing in it names a column that could be dropped: SQLite refuses to drop one that a trigger names, and a migration of
the application must not fail because of us. A key cannot be dropped, nor can the columns of a UNIQUE constraint; a
renamed one is renamed in the triggers by SQLite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import apsw

from farshore_agent.tables.schema import TableSchema, Unique
from farshore_agent.tables.sql import quoted, row, rows

PREFIX: Final = "_farshore_"
_NOW_US: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"
"""Microseconds since 1970, to the millisecond; in every SQLite that an application may have."""


def log_name(name: str) -> str:
    """The table in the application's database that holds the keys of changed rows of the captured table `name`."""
    return PREFIX + name


def key_columns(count: int) -> tuple[str, ...]:
    """The columns of that table that hold the key."""
    return tuple(f"k{place}" for place in range(1, count + 1))


def install_sql(name: str, schema: TableSchema) -> Iterator[str]:
    """Statements that make the log of changed keys and the triggers that write it.

    `at` is when the application's statement ran. Keys have no declared type, so that they are kept as they are.
    """
    log = quoted(log_name(name))
    columns = ", ".join(key_columns(len(schema.key)))
    yield f"CREATE TABLE IF NOT EXISTS {log} (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, {columns})"
    for event, of in (("insert", "NEW"), ("delete", "OLD"), ("update", "NEW")):
        yield _trigger(name, schema, event, of, event)
    # BINARY: under the column's own collation 'a' and 'A' may be one key, and are two texts.
    moved = " OR ".join(f"OLD.{quoted(each)} IS NOT NEW.{quoted(each)} COLLATE BINARY" for each in schema.key)
    yield _trigger(name, schema, "update", "OLD", "rekey", f"WHEN {moved} ")
    yield from _replacing(name, schema)


def _replacing(name: str, schema: TableSchema) -> Iterator[str]:
    """Triggers that note rows which are about to be replaced by way of a UNIQUE constraint: no other sees them go."""
    noted = [_note_replaced(name, schema, each) for each in schema.uniques if each.is_constraint]
    if not noted:
        return
    own = " AND ".join(f"{quoted(each)} IS OLD.{quoted(each)} COLLATE BINARY" for each in schema.key)
    updating = [f"{each} AND NOT ({own})" for each in noted]
    for event, notes in (("insert", noted), ("update", updating)):
        trigger, table = quoted(f"{log_name(name)}_replacing_{event}"), quoted(schema.name)
        yield f"CREATE TRIGGER {trigger} BEFORE {event.upper()} ON {table} BEGIN {'; '.join(notes)}; END"


def _note_replaced(name: str, schema: TableSchema, unique: Unique) -> str:
    log, columns = quoted(log_name(name)), ", ".join(key_columns(len(schema.key)))
    key = ", ".join(map(quoted, schema.key))
    compared = zip(unique.columns, unique.collations, strict=True)
    same = " AND ".join(f"{quoted(each)} = NEW.{quoted(each)} COLLATE {how}" for each, how in compared)
    table = quoted(schema.name)
    return f"INSERT INTO {log} (at, {columns}) SELECT {_NOW_US}, {key} FROM {table} WHERE {same}"  # noqa: S608 - names are quoted


def _trigger_names(name: str) -> list[str]:
    suffixes = ("insert", "delete", "update", "rekey", "replacing_insert", "replacing_update")
    return [f"{log_name(name)}_{suffix}" for suffix in suffixes]


def _trigger(name: str, schema: TableSchema, event: str, of: str, suffix: str, when: str = "") -> str:
    log, columns = quoted(log_name(name)), ", ".join(key_columns(len(schema.key)))
    key = ", ".join(f"{of}.{quoted(each)}" for each in schema.key)
    trigger, table = quoted(f"{log_name(name)}_{suffix}"), quoted(schema.name)
    note = f"INSERT INTO {log} (at, {columns}) VALUES ({_NOW_US}, {key})"  # noqa: S608 - names are quoted
    return f"CREATE TRIGGER {trigger} AFTER {event.upper()} ON {table} {when}BEGIN {note}; END"


def remove_sql(database: apsw.Connection, name: str) -> list[str]:
    """Statements that remove what `install_sql` made, as far as it is there."""
    dropped = [f"DROP TRIGGER {quoted(each)}" for each in installed_triggers(database, name)]
    return [*dropped, f"DROP TABLE IF EXISTS {quoted(log_name(name))}"]


def installed_triggers(database: apsw.Connection, name: str) -> list[str]:
    """The names of the triggers that are there."""
    mine = _trigger_names(name)
    marks = ", ".join("?" for _ in mine)
    query = f"SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name IN ({marks}) ORDER BY name"  # noqa: S608 - marks only
    return [found for (found,) in rows(database, query, mine)]


def are_installed(database: apsw.Connection, name: str, schema: TableSchema) -> bool:
    """Whether the log and all triggers are there, on this table and with these key columns."""
    needs_all = any(each.is_constraint for each in schema.uniques)
    wanted = {each for each in _trigger_names(name) if needs_all or "_replacing_" not in each}
    on_table = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE"
    found = {name for (name,) in rows(database, on_table, (schema.name,))}
    log = row(database, "SELECT count(*) FROM pragma_table_info(?)", (log_name(name),))
    return wanted <= found and log == (2 + len(schema.key),)
