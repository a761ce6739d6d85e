"""The application's database, as the agent uses it: short reads, and a write only to make and to empty its log.

The application's settings of the file (journal mode, page size, synchronous) stay as they are. Whatever the agent does
here ends after a bounded number of rows, because in a rollback journal a reader keeps writers from committing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from farshore_agent.tables.changes import Key, Value
from farshore_agent.tables.schema import TableSchema
from farshore_agent.tables.sql import quoted, row, rows
from farshore_agent.tables.triggers import (
    are_installed,
    install_sql,
    installed_triggers,
    key_columns,
    log_name,
    remove_sql,
)

_READ_BUSY_MS: Final = 1_000
_WRITE_BUSY_MS: Final = 200
"""The application goes first: the log can be emptied another time."""

_GENERATION_ID: Final = 0
"""The row of the log that says which log it is; its `at` is the generation."""

_APPLIED_ID: Final = -1
"""The row of the log that says which piece of the hub's rows was written last: `at` is its number, `k1` what it was."""


class Touched(NamedTuple):
    """A row of the log."""

    id: int
    at_us: int
    key: Key


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the table. `unreadable` names columns whose text is no UTF-8; their cells hold the bytes."""

    key: Key
    cells: dict[str, Value]
    unreadable: tuple[str, ...] = ()


class Application:
    """One table of an application's database, for the table `name` of the settings."""

    def __init__(self, path: Path, name: str, *, silent: bool = False) -> None:
        """Open the file.

        Args:
            path: of the application's database.
            name: of the table in the settings.
            silent: what is written this way runs no trigger: neither those of the log, so that it is never told as if
                the application had done it, nor the application's own, which have run where the change was made.

        Raises:
            apsw.CantOpenError: there is none, or it may not be read and written.
        """
        self._name = name
        self._log = quoted(log_name(name))
        self.connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        self.connection.set_busy_timeout(_READ_BUSY_MS)
        if silent:
            self.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            self.connection.pragma("foreign_keys", 0)  # they are looked to by `references`

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def version(self) -> int:
        """Grows with every change of the file's schema."""
        return int(self.connection.pragma("schema_version"))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One state of the file for everything that is read inside."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("COMMIT")

    @contextmanager
    def writing(self, busy_ms: int) -> Iterator[None]:
        """A transaction that has the file for itself; whoever else writes is waited for so long."""
        self.connection.set_busy_timeout(busy_ms)
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
        finally:
            self.connection.set_busy_timeout(_READ_BUSY_MS)

    # ------------------------------------------------------------- the log

    def install(self, schema: TableSchema, generation: int) -> bool:
        """Make the log and the triggers unless they are there; whether it is a new log."""
        if are_installed(self.connection, self._name, schema):
            return False
        with self.writing(_READ_BUSY_MS):
            applied = self.applied() if self._has_log() else (0, b"")
            for statement in [*remove_sql(self.connection, self._name), *install_sql(self._name, schema)]:
                self.connection.execute(statement)
            self._set_generation(generation)
            if applied[0]:
                self.note_applied(*applied)
        return True

    def remove(self) -> None:
        """Leave no trace."""
        with self.writing(_READ_BUSY_MS):
            for statement in remove_sql(self.connection, self._name):
                self.connection.execute(statement)

    def start_over(self, generation: int) -> None:
        """Give the log a new generation, because it is not the one that was read."""
        with self.writing(_READ_BUSY_MS):
            self._set_generation(generation)

    def _set_generation(self, generation: int) -> None:
        self.connection.execute(
            f"INSERT OR REPLACE INTO {self._log} (id, at) VALUES (?, ?)",  # noqa: S608 - our own name, quoted
            (_GENERATION_ID, generation),
        )

    def generation(self) -> int:
        """Of the log that is there."""
        found = row(self.connection, f"SELECT at FROM {self._log} WHERE id = ?", (_GENERATION_ID,))  # noqa: S608 - our own name
        return int(found[0]) if found else 0

    def has(self, done: int, done_at: int) -> bool:
        """Whether the log still is the one that was read up to this row: it always keeps its newest."""
        if done == _GENERATION_ID:
            return True
        return bool(row(self.connection, f"SELECT at FROM {self._log} WHERE id = ?", (done,)) == (done_at,))  # noqa: S608 - our own name

    def touched(self, done: int, keys: int, limit: int) -> list[Touched]:
        """What came after `done`, the oldest first."""
        wanted = ", ".join(["id", "at", *map(_typed, key_columns(keys))])
        query = f"SELECT {wanted} FROM {self._log} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - our own names
        found = rows(self.connection, query, (done, limit))
        return [Touched(each[0], each[1], _decoded(each[2:])[0]) for each in found]

    def prune(self, done: int) -> bool:
        """Empty the log up to `done`, which stays; False if the application is writing just now."""
        try:
            with self.writing(_WRITE_BUSY_MS):
                query = f"DELETE FROM {self._log} WHERE id > ? AND id < ?"  # noqa: S608 - our own name, quoted
                self.connection.execute(query, (_GENERATION_ID, done))
        except apsw.BusyError:
            return False
        return True

    # ------------------------------------------------- what came from the hub

    def prepare(self, *, captured: bool) -> None:
        """Make room for `note_applied`; have no triggers where nothing is captured (any more)."""
        triggers = [] if captured else installed_triggers(self.connection, self._name)
        if self._has_log() and not triggers:
            return
        log = f"CREATE TABLE IF NOT EXISTS {self._log} (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, k1)"
        with self.writing(_READ_BUSY_MS):
            for statement in [log, *(f"DROP TRIGGER {quoted(each)}" for each in triggers)]:
                self.connection.execute(statement)

    def _has_log(self) -> bool:
        query = "SELECT 1 FROM pragma_table_list(?) WHERE schema = 'main'"
        return row(self.connection, query, (log_name(self._name),)) is not None

    def applied(self) -> tuple[int, bytes]:
        """The number of the piece that was written last, and what was noted with it."""
        found = row(self.connection, f"SELECT at, k1 FROM {self._log} WHERE id = ?", (_APPLIED_ID,))  # noqa: S608 - our own name
        return (int(found[0]), found[1] or b"") if found else (0, b"")

    def note_applied(self, number: int, what: bytes) -> None:
        """Note a piece, in the transaction that writes it."""
        query = f"INSERT OR REPLACE INTO {self._log} (id, at, k1) VALUES (?, ?, ?)"  # noqa: S608 - our own name
        self.connection.execute(query, (_APPLIED_ID, number, what))

    def insert(self, schema: TableSchema, key: Key, cells: Mapping[str, Value]) -> None:
        """Put a row in; what `cells` does not name gets its default.

        Raises:
            apsw.ConstraintError: the application's own rules do not allow it.
        """
        named = {**dict(zip(schema.key, key, strict=True)), **cells}
        names, marks = ", ".join(map(quoted, named)), ", ".join("?" for _ in named)
        query = f"INSERT INTO {quoted(schema.name)} ({names}) VALUES ({marks})"  # noqa: S608 - names are quoted
        self.connection.execute(query, tuple(named.values()))

    def update(self, schema: TableSchema, key: Key, cells: Mapping[str, Value]) -> None:
        """Write cells of the row with exactly this key.

        Raises:
            apsw.ConstraintError: the application's own rules do not allow it.
        """
        changed = ", ".join(f"{quoted(name)} = ?" for name in cells)
        query = f"UPDATE {quoted(schema.name)} SET {changed} WHERE {_exactly(schema.key)}"  # noqa: S608 - names are quoted
        self.connection.execute(query, (*cells.values(), *key))

    def delete(self, schema: TableSchema, key: Key) -> None:
        """Take the row with exactly this key out."""
        query = f"DELETE FROM {quoted(schema.name)} WHERE {_exactly(schema.key)}"  # noqa: S608 - names are quoted
        self.connection.execute(query, key)

    # ------------------------------------------------------------ the table

    def find(self, schema: TableSchema, columns: Sequence[str], key: Key) -> Found | None:
        """The row with exactly this key: where the column's collation finds another spelling, there is none."""
        where = " AND ".join(f"{quoted(each)} IS ?{place}" for place, each in enumerate(schema.key, 1))
        found = self._select(schema, columns, f"WHERE {where} LIMIT 2", key)
        return next((each for each in found if _is_key(each.key, key)), None)

    def after(self, schema: TableSchema, columns: Sequence[str], key: Key | None, limit: int) -> list[Found]:
        """The next rows in the order of the key."""
        names = ", ".join(quoted(each) for each in schema.key)
        marks = ", ".join(f"?{place}" for place in range(1, len(schema.key) + 1))
        where = f"WHERE ({names}) > ({marks}) " if key else ""
        return self._select(schema, columns, f"{where}ORDER BY {names} LIMIT {limit:d}", key or ())

    def count(self, schema: TableSchema) -> int:
        """How many rows there are."""
        return int(row(self.connection, f"SELECT count(*) FROM {quoted(schema.name)}")[0])  # noqa: S608 - the name is quoted

    def _select(self, schema: TableSchema, columns: Sequence[str], rest: str, values: Key) -> list[Found]:
        names = [*schema.key, *columns]
        wanted = ", ".join(quoted(each) for each in names)
        query = f"SELECT {wanted} FROM {quoted(schema.name)} {rest}"  # noqa: S608 - names are quoted
        try:
            found = rows(self.connection, query, values)
        except UnicodeDecodeError:
            return self._select_bytes(schema, columns, rest, values)
        width = len(schema.key)
        return [Found(tuple(each[:width]), dict(zip(columns, each[width:], strict=True))) for each in found]

    def _select_bytes(self, schema: TableSchema, columns: Sequence[str], rest: str, values: Key) -> list[Found]:
        """The same where some text is no UTF-8: bytes instead of text, and decoded where that is possible."""
        wanted = ", ".join(_typed(quoted(each)) for each in [*schema.key, *columns])
        query = f"SELECT {wanted} FROM {quoted(schema.name)} {rest}"  # noqa: S608 - names are quoted
        found = []
        for each in rows(self.connection, query, values):
            decoded, unreadable = _decoded(each)
            width = len(schema.key)
            cells = dict(zip(columns, decoded[width:], strict=True))
            found.append(Found(decoded[:width], cells, tuple(columns[at - width] for at in unreadable if at >= width)))
        return found


def _exactly(key: Sequence[str]) -> str:
    """SQL for the row of a key as it is spelt: under the column's own collation 'a' and 'A' may be one."""
    return " AND ".join(f"{quoted(each)} IS ? COLLATE BINARY" for each in key)


def _typed(name: str) -> str:
    """SQL for a value of which text comes as bytes, and for its type."""
    return f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END, typeof({name})"


def _decoded(row: Sequence[Any]) -> tuple[Key, list[int]]:
    """The values of `_typed` columns, and the places of texts that are no UTF-8 and stay bytes."""
    values: list[Value] = []
    unreadable = []
    for place, (value, kind) in enumerate(zip(row[::2], row[1::2], strict=True)):
        try:
            values.append(value.decode() if kind == "text" else value)
        except UnicodeDecodeError:
            values.append(value)
            unreadable.append(place)
    return tuple(values), unreadable


def _is_key(found: Key, asked: Key) -> bool:
    """Whether two keys are the same, type included."""
    return all(one.__class__ is other.__class__ and one == other for one, other in zip(found, asked, strict=True))
