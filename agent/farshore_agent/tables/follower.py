"""Follows one table of the hub's: keeps the pages that come, and writes their rows into the application's database.

A piece of rows is written in one transaction with its number and what became of each row; then the same goes into
`tables.db`, with the shadow. If the agent dies in between, the number tells, and what was noted is done there. So the
shadow always is what was written, a look finds no difference, and nothing that came from the hub is told as the site's
own. If the database is an older one (a backup was put in its place), it first gets back what both sides knew.

A transaction is as short as a few milliseconds: the application waits for it as for any other writer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import apsw
import msgspec

from farshore_agent.errors import Problem, SettingsError
from farshore_agent.settings.tables import Direction, TableSettings
from farshore_agent.tables.application import Application, Found
from farshore_agent.tables.arrivals import FRESH, HELD, Arrival, Arrivals, Outcome
from farshore_agent.tables.changes import Cells, Key, Value
from farshore_agent.tables.make import create_sql, widen_sql
from farshore_agent.tables.rebase import Here, step, told_after
from farshore_agent.tables.references import References
from farshore_agent.tables.schema import TableSchema, problems_of, read_schema
from farshore_agent.tables.shadow import Intent, Progress, Shadow, Told, pack_key, unpack_key
from farshore_protocol.limits import KIB
from farshore_protocol.ports import Clock
from farshore_protocol.tables import NEVER_TELLS, ColumnTold, Followed, Page

PIECE_ROWS: Final = 200
PIECE_BYTES: Final = 256 * KIB
PIECE_S: Final = 0.003
"""Of one transaction in the application's database; it ends after the row that passes one of these."""

BUSY_MS: Final = 50
NOTED_AT_MOST: Final = 2_000
"""Of the log, while nobody else may write; with more, the site looks first."""

SET_ASIDE_EVERY_S: Final = 2.0
_RESTORE_ROWS: Final = 1_000


@dataclass(slots=True)
class _Piece:
    """What one transaction does."""

    schema: TableSchema
    columns: tuple[str, ...]
    noted: frozenset[bytes]
    outcomes: list[Outcome] = field(default_factory=list)
    written: int = 0
    bytes: int = 0


class Follower:
    """One followed table. All methods are called by one thread; `attend` first.

    Args:
        progress: tells how far the table is captured, if it is.

    Attributes:
        refused: why the hub does not let the site follow it.
        written: rows that were written, changed or taken out since the start.
        shown: for the status document; `waiting`, the rows that came last and are to be written.
    """

    def __init__(
        self, name: str, settings: TableSettings, shadow: Shadow, clock: Clock, progress: Callable[[], Progress]
    ) -> None:
        self.name = name
        self.refused = ""
        self.written = 0
        self.waiting = 0
        self.shown: dict[str, Any] = {}
        self._is_whole = False
        self._settings = settings
        self._shadow = shadow
        self._clock = clock
        self._progress = progress
        self._arrivals = Arrivals(name, shadow)
        self._application: Application | None = None
        self._schema: TableSchema | None = None
        self._references = References()
        self._version = -1
        self._tried_s = 0.0

    @property
    def is_restoring(self) -> bool:
        """Whether the application's database still has to get back what it had: nothing is captured before."""
        return self._arrivals.following.is_restoring

    def attend(self) -> None:
        """See to it that the database, the table and what was applied are as they should be.

        Raises:
            SettingsError: the table cannot be followed.
            apsw.Error: the database is not there, or busy.
        """
        application = self._opened()
        if application.version() == self._version:
            return
        application.prepare(captured=self._settings.direction.is_captured)
        self._version = application.version()
        self._schema = read_schema(application.connection, self._table, self._settings.key)
        if self._schema:
            self._check(application)
            self._references = References.of(application.connection, self._schema.name)
        self._settle_last(application)
        if self._schema and self._schema.fingerprint != self._arrivals.following.fingerprint:
            # Columns may have come that earlier rows did not have here.
            self._arrivals.note(fingerprint=self._schema.fingerprint, cursor=b"")

    def asked(self) -> Followed:
        """Where this table has come to."""
        cursor = self._arrivals.following.cursor
        if not self._settings.direction.is_captured:
            return Followed(self.name, cursor, self._is_whole, 0, NEVER_TELLS)
        progress = self._progress()
        return Followed(self.name, cursor, self._is_whole, progress.number, progress.hlc)

    def receive(self, page: Page) -> None:
        """Keep a page.

        Raises:
            SettingsError: the table here and the hub's do not go together.
            apsw.Error: the database is not there, or busy.
        """
        self.refused = page.refused
        if page.refused:
            return
        self.attend()
        schema = self._made_for(page)
        following = self._arrivals.following
        if schema is None or (not page.fresh and not following.cursor):
            return  # the hub has no columns yet; or the schema has changed since it was asked
        order = _order(schema, page, self._settings)
        names = _names(schema.captured(self._settings.columns), page.columns)
        arrivals = [
            *(Arrival(_packed(row.key, order), {names[place]: value for place, value in row.cells.items()
                                                if place in names}) for row in page.rows),
            *(Arrival(_packed(key, order), None) for key in page.gone),
        ]  # fmt: skip
        is_reading = page.fresh or following.is_reading
        self._arrivals.keep(
            arrivals,
            reading=following.reading + page.fresh,
            merged=page.merged,
            is_end=is_reading and not page.more,
            is_reading=is_reading and page.more,
            cursor=page.cursor,
            left_out=page.left_out + (0 if page.fresh else following.left_out),
            missing=tuple(each.names[-1] for place, each in enumerate(page.columns) if place not in names),
        )

    def apply(self) -> bool:
        """Write some of what waits; whether there may be more to do at once.

        Raises:
            SettingsError: the table cannot be followed.
            apsw.Error: the database is not there, or busy.
        """
        self.attend()
        if self._schema is None:
            return False
        if fresh := self._arrivals.fresh(PIECE_ROWS):
            return self._write(self._opened(), self._schema, fresh) is not None
        if self.is_restoring:
            self._arrivals.note(is_restoring=False)
        again = self._arrivals.free(PIECE_ROWS)
        now_s = self._clock.monotonic_s()
        if not again and now_s - self._tried_s >= SET_ASIDE_EVERY_S:
            self._tried_s = now_s
            again = self._arrivals.set_aside(PIECE_ROWS)
        return bool(again) and bool(self._write(self._opened(), self._schema, again))

    def note_under_way(self, intent: Intent) -> None:
        """A look has found changes of the site's own; said before it is settled."""
        self._arrivals.fly(intent)

    def close(self) -> None:
        """Close the application's database."""
        if self._application:
            self._application.close()
        self._application, self._version = None, -1
        self._arrivals = Arrivals(self.name, self._shadow)

    def look(self) -> None:
        """Bring `shown` up to date."""
        following, waiting = self._arrivals.following, self._arrivals.waiting()
        fresh, held = waiting.pop(FRESH, 0), waiting.pop(HELD, 0)
        self.waiting = fresh
        self._is_whole = not (following.is_reading or following.is_restoring or self._arrivals.is_to_take())
        self.shown = {
            "refused": self.refused,
            "written": self.written,
            "reading": following.is_reading,
            "waiting": fresh,
            "held": held,
            "set_aside": waiting,
            "missing": list(following.missing),
            "left_out": following.left_out,
        }

    # -------------------------------------------------- the database and its schema

    @property
    def _table(self) -> str:
        return self._settings.table or self.name

    def _opened(self) -> Application:
        if self._application is None:
            self._application = Application(self._settings.database, self.name, silent=True)
        return self._application

    def _check(self, application: Application) -> None:
        settings = self._settings
        wanted = (self._table, settings.key, settings.columns)
        self._complain(list(problems_of(application.connection, f"tables.{self.name}", *wanted)))

    def _complain(self, problems: list[Problem]) -> None:
        if problems:
            self._version = -1
            raise SettingsError(str(self._settings.database), problems)

    def _made_for(self, page: Page) -> TableSchema | None:
        """The table, made where there is none, with the hub's columns where it is ours."""
        application, following = self._opened(), self._arrivals.following
        if not page.key or self._settings.direction is not Direction.DOWN:
            return self._schema if page.key else None
        if self._schema is None:
            statements = [create_sql(self._table, page.key, page.columns)]
        elif following.is_ours:
            statements = list(widen_sql(self._schema.name, page.columns, [each.name for each in self._schema.columns]))
        else:
            statements = []
        if statements:
            # Noted before: a table that is not there yet is made at the next try.
            self._arrivals.note(is_ours=True)
            with application.writing(BUSY_MS):
                for statement in statements:
                    application.connection.execute(statement)
            self.attend()
        return self._schema

    # ------------------------------------------------------ two files that agree

    def _settle_last(self, application: Application) -> None:
        """Bring what was written last to its end; find out whether the database is the one that was written."""
        following = self._arrivals.following
        database = str(self._settings.database)
        number, noted = application.applied()
        if following.database not in {"", database}:
            # Another file: it gets what there was, and what it has besides is its own.
            self._arrivals.restore(())
            self._arrivals.note(applied=number, database=database)
        elif number == following.applied + 1:
            self._arrivals.applied(number, msgspec.msgpack.decode(noted, type=list[Outcome]))
        elif number != following.applied:
            self._restore(application)
        if following.database != database:
            self._arrivals.note(database=database)

    def _restore(self, application: Application) -> None:
        """An older one has taken the database's place: what it has that both sides knew to be gone, goes again."""
        keys = self._keys(application, self._schema) if self._schema else ()
        self._arrivals.restore([key for key in keys if self._arrivals.told(key) is None])
        with application.writing(BUSY_MS):
            application.note_applied(self._arrivals.following.applied, b"")

    def _keys(self, application: Application, schema: TableSchema) -> Iterator[bytes]:
        place: Key | None = None
        while found := application.after(schema, (), place, _RESTORE_ROWS):
            yield from (pack_key(each.key) for each in found)
            place = found[-1].key

    # ------------------------------------------------------------------ writing

    def _write(self, application: Application, schema: TableSchema, waiting: list[Arrival]) -> int | None:
        """Write a piece; how many rows of it are done. None if the site's own changes have to be looked at first."""
        number = self._arrivals.following.applied + 1
        columns = schema.captured(self._settings.columns)
        began_s = self._clock.monotonic_s()
        with application.writing(BUSY_MS):
            noted = self._noted(application, schema)
            if noted is None:
                return None
            piece = _Piece(schema, columns, noted)
            for each in waiting:
                piece.outcomes.append(self._apply(application, piece, each))
                if piece.bytes > PIECE_BYTES or self._clock.monotonic_s() - began_s > PIECE_S:
                    break
            application.note_applied(number, msgspec.msgpack.encode(piece.outcomes))
        self._arrivals.applied(number, piece.outcomes)
        self.written += piece.written
        return sum(each.why is None for each in piece.outcomes)

    def _noted(self, application: Application, schema: TableSchema) -> frozenset[bytes] | None:
        """Keys of rows that the application has changed since the last look; None if there are too many."""
        if not self._settings.direction.is_captured:
            return frozenset()
        progress = self._progress()
        is_known = application.generation() == progress.generation
        done = progress.done if is_known and application.has(progress.done, progress.done_at) else 0
        limit = sys.maxsize if self.is_restoring else NOTED_AT_MOST
        touched = application.touched(done, len(schema.key), limit)
        if len(touched) == limit:
            return None
        return frozenset(pack_key(each.key) for each in touched)

    def _apply(self, application: Application, piece: _Piece, arrival: Arrival) -> Outcome:
        key = unpack_key(arrival.key)
        found = application.find(piece.schema, piece.columns, key)
        flying = self._arrivals.under_way(arrival.key)
        told = self._arrivals.told(arrival.key)
        here = Here(
            row=found.cells if found else None,
            told=told,
            is_noted=arrival.key in piece.noted,
            under_way=flying.columns,
            is_whole=flying.is_whole,
        )
        incoming = None if arrival.cells is None else _known(arrival.cells, piece.columns)
        todo = step(incoming, here)
        try:
            why = self._refusal(application, piece.schema, key, found, todo.cells, goes=todo.deletes)
            if why:
                return Outcome(arrival.key, why=why)
            if todo.deletes:
                application.delete(piece.schema, key)
            elif todo.inserts:
                application.insert(piece.schema, key, todo.cells)
            elif todo.cells:
                application.update(piece.schema, key, todo.cells)
        except (apsw.ConstraintError, apsw.MismatchError) as error:
            return Outcome(arrival.key, why=str(error))
        has_written = todo.deletes or todo.inserts or bool(todo.cells)
        piece.written += has_written
        why_waits = HELD if todo.waits else None
        if incoming is None or (here.row is None and not todo.inserts):
            return Outcome(arrival.key, None if todo.waits else Told(arrival.key, None), why_waits)
        written = application.find(piece.schema, piece.columns, key) if has_written else found
        cells = told_after(incoming, here, todo.kept, written.cells if written else {})
        piece.bytes += sum(len(value) if isinstance(value, str | bytes) else 8 for value in cells.values())
        if here.is_whole or (here.is_noted and told is None):
            return Outcome(arrival.key, None, why_waits)
        return Outcome(arrival.key, Told(arrival.key, cells), why_waits)

    def _refusal(
        self,
        application: Application,
        schema: TableSchema,
        key: Key,
        found: Found | None,
        cells: Cells,
        *,
        goes: bool,
    ) -> str:
        """Why a row cannot be written so, by the foreign keys of the application's tables."""
        references, database = self._references, application.connection
        if not (references.own or references.to_it) or not (goes or cells):
            return ""
        named = dict(zip(schema.key, key, strict=True))
        whole: dict[str, Value] = {**named, **(found.cells if found else {})}
        if goes and references.to_it:
            others = tuple(each.name for each in schema.columns if each.name not in schema.key)
            row = application.find(schema, others, key)
            return references.is_named(database, {**named, **(row.cells if row else {})}, None)
        after = {**whole, **cells}
        return references.lacks(database, after) or (references.is_named(database, whole, after) if found else "")


def _known(cells: Cells, columns: tuple[str, ...]) -> dict[str, Value]:
    """Cells of columns that are there still."""
    return {name: value for name, value in cells.items() if name in columns}


def _order(schema: TableSchema, page: Page, settings: TableSettings) -> list[int]:
    """For each column of the key here, its place in the hub's.

    Raises:
        SettingsError: the two keys are not the same.
    """
    places = [
        next((place for place, told in enumerate(page.key) if _is_named(name, told)), None) for name in schema.key
    ]
    known = [place for place in places if place is not None]
    if len(known) != len(page.key) or len(places) != len(page.key):
        hubs = ", ".join(each.names[-1] for each in page.key)
        why = f"its key is {', '.join(schema.key)} here, and {hubs} at the hub"
        raise SettingsError(str(settings.database), [Problem(f"tables.{page.name}.key", why)])
    return known


def _packed(key: list[Value], order: list[int]) -> bytes:
    return pack_key(tuple(key[place] for place in order))


def _names(columns: tuple[str, ...], told: list[ColumnTold]) -> dict[int, str]:
    """By the place of a column at the hub, its name here."""
    found = {place: next((name for name in columns if _is_named(name, each)), "") for place, each in enumerate(told)}
    return {place: name for place, name in found.items() if name}


def _is_named(name: str, told: ColumnTold) -> bool:
    return name.lower() in {each.lower() for each in told.names}
