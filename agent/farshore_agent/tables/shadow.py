"""What the hub has been told of each row: `tables.db` in the state folder, one for all captured tables.

A look at the application's tables is settled here in two steps, so that records and shadow agree after any crash:
`intend` keeps what will be appended to the buffer; `settle` makes it the shadow once it is there. The buffer's
checkpoint tells which looks are (see `capture`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from farshore_agent.tables.changes import Key, Value
from farshore_agent.tables.sql import row, rows
from farshore_shell.system import make_for_us_only

FILE: Final = "tables.db"
_BUSY_MS: Final = 5_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rows (tbl TEXT, key BLOB, cells BLOB NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress (tbl TEXT PRIMARY KEY, progress BLOB NOT NULL, intent BLOB) WITHOUT ROWID;
"""


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How far a table is captured.

    Attributes:
        look: counts the looks that had something to say.
        number, hlc: of the last change.
        generation: of the log in the application's database; 0 before there is one.
        done: the last id of it that was dealt with, and `done_at`, its time.
        columns: of the schema that was announced last, and `fingerprint`, its fingerprint.
        walk: 0 at rest, 1 through the application's rows, 2 through the shadow's.
        place: the packed key up to which that walk has come.
        walked_us: when the last walk ended.
        database: the application's file.
    """

    look: int = 0
    number: int = 0
    hlc: int = 0
    generation: int = 0
    done: int = 0
    done_at: int = 0
    columns: tuple[str, ...] = ()
    fingerprint: bytes = b""
    walk: int = 0
    place: bytes | None = None
    walked_us: int = 0
    database: str = ""


class Told(msgspec.Struct, frozen=True, array_like=True):
    """A row as the hub will have been told; no cells when it is gone."""

    key: bytes
    cells: dict[str, Any] | None


class Intent(msgspec.Struct, frozen=True, array_like=True):
    """A look that is under way: the records to append, and the shadow and progress after it."""

    records: list[dict[str, Any]]
    refused: list[tuple[str, str]]
    oldest_us: int
    newest_us: int
    told: list[Told]
    progress: Progress


def pack_key(key: Key) -> bytes:
    """A key as bytes; two keys are the same if and only if these are."""
    return msgspec.msgpack.encode(key)


def unpack_key(packed: bytes) -> Key:
    """The key again."""
    return tuple(msgspec.msgpack.decode(packed))


class Shadow:
    """The file. Used by one thread.

    Attributes:
        file: for whoever keeps more in it (`arrivals`).
    """

    def __init__(self, path: Path) -> None:
        make_for_us_only(path)
        self.file = apsw.Connection(str(path))
        self.file.set_busy_timeout(_BUSY_MS)
        for name, value in (("journal_mode", "WAL"), ("synchronous", "FULL"), ("cache_size", -1024)):
            self.file.pragma(name, value)
        self.file.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def progress(self, table: str) -> Progress:
        """How far a table is captured."""
        found = row(self.file, "SELECT progress FROM progress WHERE tbl = ?", (table,))
        return msgspec.msgpack.decode(found[0], type=Progress) if found else Progress()

    def intent(self, table: str) -> Intent | None:
        """The look that was under way when the agent stopped, if there was one."""
        found = row(self.file, "SELECT intent FROM progress WHERE tbl = ?", (table,))
        return msgspec.msgpack.decode(found[0], type=Intent) if found and found[0] else None

    def cells(self, table: str, key: bytes) -> dict[str, Value] | None:
        """What the hub was told of a row; None if there is none."""
        found = row(self.file, "SELECT cells FROM rows WHERE tbl = ? AND key = ?", (table, key))
        return msgspec.msgpack.decode(found[0]) if found else None

    def keys_after(self, table: str, place: bytes | None, limit: int) -> list[bytes]:
        """The next keys in their own order."""
        query = "SELECT key FROM rows WHERE tbl = ? AND key > ? ORDER BY key LIMIT ?"
        return [key for (key,) in rows(self.file, query, (table, place or b"", limit))]

    def count(self, table: str) -> int:
        """How many rows the hub was told of."""
        return int(row(self.file, "SELECT count(*) FROM rows WHERE tbl = ?", (table,))[0])

    def intend(self, table: str, intent: Intent) -> None:
        """Keep a look before its records are appended."""
        self.file.execute(
            "INSERT INTO progress (tbl, progress, intent) VALUES (?1, ?2, ?3) "
            "ON CONFLICT (tbl) DO UPDATE SET intent = ?3",
            (table, msgspec.msgpack.encode(Progress()), msgspec.msgpack.encode(intent)),
        )

    def settle(self, table: str, told: Iterable[Told], progress: Progress) -> None:
        """Its records are in the buffer, or it had none: what it saw is the shadow now."""
        with self.transaction():
            for each in told:
                self.tell(table, each)
            self.file.execute(
                "INSERT OR REPLACE INTO progress (tbl, progress) VALUES (?, ?)",
                (table, msgspec.msgpack.encode(progress)),
            )

    def rename(self, table: str, old: str, new: str) -> None:
        """A column has another name in every row."""
        with self.transaction():
            for key, packed in rows(self.file, "SELECT key, cells FROM rows WHERE tbl = ?", (table,)):
                cells = {new if name == old else name: value for name, value in msgspec.msgpack.decode(packed).items()}
                self.file.execute(
                    "UPDATE rows SET cells = ? WHERE tbl = ? AND key = ?", (msgspec.msgpack.encode(cells), table, key)
                )

    def forget(self, table: str) -> None:
        """Nothing is captured of this table any more, nor followed."""
        kept = rows(self.file, "SELECT name FROM sqlite_schema WHERE type = 'table'")
        with self.transaction():
            for (name,) in kept:
                self.file.execute(f"DELETE FROM {name} WHERE tbl = ?", (table,))  # noqa: S608 - our own tables

    def tables(self) -> Mapping[str, Progress]:
        """Every table that is or was captured."""
        found = rows(self.file, "SELECT tbl, progress FROM progress ORDER BY tbl")
        return {table: msgspec.msgpack.decode(progress, type=Progress) for table, progress in found}

    def tell(self, table: str, told: Told) -> None:
        """A row is so now; in the caller's transaction."""
        if told.cells is None:
            self.file.execute("DELETE FROM rows WHERE tbl = ? AND key = ?", (table, told.key))
            return
        packed = msgspec.msgpack.encode(told.cells)
        self.file.execute("INSERT OR REPLACE INTO rows (tbl, key, cells) VALUES (?, ?, ?)", (table, told.key, packed))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or nothing."""
        with self.file:
            yield
