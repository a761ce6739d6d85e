"""What came from the hub for followed tables, until it is in the application's database: kept beside the shadow.

A page is kept whole, with the cursor after it, in one transaction: so it is asked for once. Its rows then wait here and
are applied piece by piece. What is applied is noted in the same transaction with the shadow (`applied`), under the
number that the application's database got with the rows: so both agree after any crash (see `follower`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from farshore_agent.tables.changes import Value
from farshore_agent.tables.shadow import Intent, Shadow, Told, pack_key
from farshore_agent.tables.sql import row, rows
from farshore_protocol.changes import Op

FRESH: Final = ""
HELD: Final = "the site's own changes of it are on their way"
"""Why a row waits; anything else is why the application's database did not take it."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS waiting (tbl TEXT, key BLOB, cells BLOB, why TEXT NOT NULL, turn INTEGER NOT NULL,
  PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting_turn ON waiting (tbl, why, turn);
CREATE TABLE IF NOT EXISTS arrived (tbl TEXT, key BLOB, reading INTEGER NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS under_way (tbl TEXT, key BLOB, number INTEGER NOT NULL, columns BLOB NOT NULL,
  is_whole INTEGER NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS following (tbl TEXT PRIMARY KEY, following BLOB NOT NULL) WITHOUT ROWID;
"""
_WAIT: Final = "INSERT OR REPLACE INTO waiting (tbl, key, cells, why, turn) VALUES (?, ?, ?, ?, ?)"


class Following(msgspec.Struct, frozen=True, array_like=True):
    """How far a table is followed.

    Attributes:
        cursor: of the page that was kept last.
        reading: counts how often the whole table was read.
        is_reading: such a reading has begun, and not come to its end.
        applied: the number of the last piece that is in the application's database and here.
        turn: orders rows as they came.
        fingerprint: of the schema that rows were kept for.
        is_restoring: the application's database is an older one; it gets back what it had before anything is told.
        is_ours: the agent has made the table.
        missing: columns of the hub's that the table does not have, or does not have captured.
        left_out: rows that were too large to come.
        database: the application's file.
    """

    cursor: bytes = b""
    reading: int = 0
    is_reading: bool = False
    applied: int = 0
    turn: int = 0
    fingerprint: bytes = b""
    is_restoring: bool = False
    is_ours: bool = False
    missing: tuple[str, ...] = ()
    left_out: int = 0
    database: str = ""


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """A row as the hub says that it is; no cells when it is not the site's (any more)."""

    key: bytes
    cells: dict[str, Any] | None


class UnderWay(msgspec.Struct, frozen=True, array_like=True):
    """What changes of a row have that the hub has not merged yet; see `rebase.Here`."""

    columns: frozenset[str] = frozenset()
    is_whole: bool = False


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of a row that waited.

    Attributes:
        told: the shadow of it from now on; None where it stays.
        why: it goes on waiting, and why; None when it is done.
    """

    key: bytes
    told: Told | None = None
    why: str | None = None


class Arrivals:
    """Of one table. Used by the shadow's thread."""

    def __init__(self, table: str, shadow: Shadow) -> None:
        self._table = table
        self._shadow = shadow
        shadow.file.execute(_SCHEMA)
        found = row(shadow.file, "SELECT following FROM following WHERE tbl = ?", (table,))
        self.following = msgspec.msgpack.decode(found[0], type=Following) if found else Following()

    def note(self, **changes: Any) -> None:  # noqa: ANN401 - fields of `Following`
        """Change how far the table is followed."""
        self.following = msgspec.structs.replace(self.following, **changes)
        self._execute(
            "INSERT OR REPLACE INTO following (tbl, following) VALUES (?, ?)", msgspec.msgpack.encode(self.following)
        )

    # ------------------------------------------------------------ what comes

    def keep(self, arrivals: Iterable[Arrival], *, reading: int, merged: int, is_end: bool, **changes: Any) -> None:  # noqa: ANN401 - fields of `Following`
        """Keep a page.

        Args:
            arrivals: its rows, as this table has them.
            reading: the number of the reading that it belongs to.
            merged: the hub has merged the site's changes up to this number.
            is_end: a reading of the whole table ends here: what it has not told is not the site's.
            changes: of `following`.
        """
        turn = self.following.turn + 1
        with self._shadow.transaction():
            for place, each in enumerate(arrivals, turn):
                self._wait(each, place)
                turn = place + 1
                if each.cells is not None:
                    self._execute(
                        "INSERT OR REPLACE INTO arrived (tbl, key, reading) VALUES (?, ?, ?)", each.key, reading
                    )
            self._execute("DELETE FROM under_way WHERE tbl = ? AND number <= ?", merged)
            if is_end:
                self._execute(
                    "INSERT OR REPLACE INTO waiting (tbl, key, cells, why, turn) "
                    "SELECT tbl, key, NULL, '', ?3 FROM arrived WHERE tbl = ?1 AND reading <> ?2",
                    reading,
                    turn,
                )
            self.note(turn=turn, reading=reading, **changes)

    def _wait(self, arrival: Arrival, turn: int) -> None:
        packed = None if arrival.cells is None else msgspec.msgpack.encode(arrival.cells)
        self._execute(_WAIT, arrival.key, packed, FRESH, turn)

    def restore(self, gone: Iterable[bytes]) -> None:
        """Have everything that both sides knew applied again; `gone` are keys of rows that there were not."""
        with self._shadow.transaction():
            turn = self.following.turn + 1
            self._execute(
                "INSERT OR IGNORE INTO waiting (tbl, key, cells, why, turn) "
                "SELECT tbl, key, cells, '', ?2 FROM rows WHERE tbl = ?1",
                turn,
            )
            for key in gone:
                self._execute(
                    "INSERT OR IGNORE INTO waiting (tbl, key, cells, why, turn) VALUES (?, ?, NULL, '', ?)", key, turn
                )
            self.note(turn=turn, is_restoring=True)

    # -------------------------------------------------------- what is under way

    def fly(self, intent: Intent) -> None:
        """The changes of a look are on their way to the hub; said before the look is settled."""
        with self._shadow.transaction():
            for record in intent.records:
                if record["op"] != Op.SCHEMA:
                    self._fly(pack_key(tuple(record["key"].values())), record)

    def _fly(self, key: bytes, record: dict[str, Any]) -> None:
        before = self.under_way(key)
        columns = sorted(before.columns.union(record.get("cells", {})))
        is_whole = before.is_whole or record["op"] != Op.UPDATE
        self._execute(
            "INSERT OR REPLACE INTO under_way (tbl, key, number, columns, is_whole) VALUES (?, ?, ?, ?, ?)",
            key, record["number"], msgspec.msgpack.encode(columns), is_whole,
        )  # fmt: skip

    def under_way(self, key: bytes) -> UnderWay:
        """What is on its way of a row."""
        found = row(
            self._shadow.file, "SELECT columns, is_whole FROM under_way WHERE tbl = ? AND key = ?", (self._table, key)
        )
        return UnderWay(frozenset(msgspec.msgpack.decode(found[0])), bool(found[1])) if found else UnderWay()

    # ------------------------------------------------------------ what is applied

    def fresh(self, limit: int) -> list[Arrival]:
        """What has just come, in its order."""
        return self._arrivals("why = '' ORDER BY turn", limit)

    def free(self, limit: int) -> list[Arrival]:
        """What was held, and need not be any more."""
        is_under_way = "EXISTS (SELECT 1 FROM under_way AS u WHERE u.tbl = w.tbl AND u.key = w.key)"
        return self._arrivals(f"why = ?3 AND NOT {is_under_way} ORDER BY turn", limit, HELD)

    def set_aside(self, limit: int) -> list[Arrival]:
        """Rows that the application's database did not take, those that were tried longest ago first."""
        return self._arrivals("why NOT IN ('', ?3) ORDER BY turn", limit, HELD)

    def _arrivals(self, which: str, limit: int, *values: Any) -> list[Arrival]:  # noqa: ANN401 - SQL values
        query = f"SELECT key, cells FROM waiting AS w WHERE tbl = ?1 AND {which} LIMIT ?2"  # noqa: S608 - our own conditions
        found = rows(self._shadow.file, query, (self._table, limit, *values))
        return [Arrival(key, msgspec.msgpack.decode(cells) if cells else None) for key, cells in found]

    def applied(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """A piece is in the application's database under that number."""
        with self._shadow.transaction():
            turn = self.following.turn + 1
            for each in outcomes:
                self._settle(each, turn)
            self.note(applied=number, turn=turn)

    def _settle(self, outcome: Outcome, turn: int) -> None:
        if outcome.told is not None:
            self._shadow.tell(self._table, outcome.told)
            if outcome.told.cells is None:
                self._execute("DELETE FROM arrived WHERE tbl = ? AND key = ?", outcome.key)
        if outcome.why is None:
            self._execute("DELETE FROM waiting WHERE tbl = ? AND key = ?", outcome.key)
        else:
            self._execute("UPDATE waiting SET why = ?3, turn = ?4 WHERE tbl = ?1 AND key = ?2",
                          outcome.key, outcome.why, turn)  # fmt: skip

    def waiting(self) -> dict[str, int]:
        """How many rows wait, by why."""
        query = "SELECT why, count(*) FROM waiting WHERE tbl = ? GROUP BY why ORDER BY 2 DESC LIMIT 20"
        return dict(rows(self._shadow.file, query, (self._table,)))

    def is_to_take(self) -> bool:
        """Whether a row that is not the site's any more still waits to be taken out of its table."""
        query = "SELECT 1 FROM waiting WHERE tbl = ? AND cells IS NULL LIMIT 1"
        return row(self._shadow.file, query, (self._table,)) is not None

    def told(self, key: bytes) -> dict[str, Value] | None:
        """What both sides know of a row."""
        return self._shadow.cells(self._table, key)

    def _execute(self, statement: str, *values: Any) -> None:  # noqa: ANN401 - SQL values
        self._shadow.file.execute(statement, (self._table, *values))
