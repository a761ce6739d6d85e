"""Captures one table: looks at what the application changed, and says it in records.

A look reads the keys that the triggers noted and the rows as they are now, in one state of the database, compares them
with what the hub was told (the shadow) and makes a record of every difference. So nothing is said twice, whatever
crashes, and a value that came and went between two looks is counted, not sent. A walk compares all rows in small
pieces: at first, after a change of the schema, when the log is another one, and now and then to find what triggers do
not see (`INSERT OR REPLACE` over a unique index, a database that was put in the place of another).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from farshore_agent.errors import SettingsError
from farshore_agent.settings.tables import TableSettings
from farshore_agent.tables.application import Application, Found, Touched
from farshore_agent.tables.changes import Cells, Key, Stamps, Value, deltas, describe, difference
from farshore_agent.tables.schema import TableSchema, problems_of, read_schema
from farshore_agent.tables.shadow import Intent, Progress, Shadow, Told, pack_key, unpack_key
from farshore_protocol.changes import Op
from farshore_protocol.limits import KIB, MAX_RECORD_BYTES, MIB
from farshore_protocol.ports import Clock, Random

LOOK_KEYS: Final = 1_000
LOOK_BYTES: Final = 2 * MIB
"""Of one look; the application may have to wait for its end."""

WALK_ROWS: Final = 250
COUNT_EVERY_S: Final = 60.0
_PRUNE_ROWS: Final = 1_000
_RAW_CHARS: Final = 4 * KIB
_GENERATION_BYTES: Final = 7
_RENAME_SAMPLE: Final = 100


class Walk(enum.IntEnum):
    """Where a walk is."""

    NONE = 0
    ROWS = 1
    """Through the application's rows, in the order of their key."""
    SHADOW = 2
    """Through what the hub was told, for rows that are no more."""


@dataclass(slots=True)
class _Look:
    """What one look has found so far.

    Attributes:
        columns: what is captured beside the key.
        growth: how many more rows the hub will have been told of.
    """

    stamps: Stamps
    schema: TableSchema
    columns: tuple[str, ...]
    records: list[dict[str, object]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    told: dict[bytes, Told] = field(default_factory=dict)
    times_us: list[int] = field(default_factory=list)
    bytes: int = 0
    growth: int = 0


class Capture:
    """One captured table. All methods are called by one thread; `unfinished` first.

    Args:
        offset_us: tells what has to be added to the site's clock to get the hub's, as far as that is known.

    Attributes:
        progress: how far the table is captured.
        is_behind: whether another look should follow at once.
    """

    def __init__(
        self,
        name: str,
        settings: TableSettings,
        shadow: Shadow,
        clock: Clock,
        random: Random,
        offset_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self.name = name
        self._offset_us = offset_us
        self._settings = settings
        self._shadow = shadow
        self._clock = clock
        self._random = random
        self._application: Application | None = None
        self._schema: TableSchema | None = None
        self._version = -1
        self._pruned = 0
        self._counted_at, self._counted_s = -1, -math.inf
        self.is_behind = False
        self.progress = Progress()

    def unfinished(self) -> Intent | None:
        """Where the last run of the agent came to, and the look that was under way when it stopped, if one was."""
        self.progress = self._shadow.progress(self.name)
        return self._shadow.intent(self.name)

    def look(self) -> Intent | None:
        """Look once; what has to be appended, kept until `settle`. None if there is nothing to say.

        Raises:
            SettingsError: the table cannot be captured.
            apsw.Error: the database is not there, or busy.
        """
        application = self._opened()
        schema, progress = self._attend(application)
        stamps = Stamps(progress.number, progress.hlc, self._offset_us())
        look = _Look(stamps, schema, schema.captured(self._settings.columns))
        if progress.fingerprint != schema.fingerprint:
            self._announce(application, look, progress)
            progress = msgspec.structs.replace(
                progress, fingerprint=schema.fingerprint, columns=look.columns, walk=Walk.ROWS, place=None
            )
        with application.reading():
            progress = self._follow_log(application, look, progress)
            progress = self._walk_on(application, look, progress)
        return self._concluded(look, progress)

    def settle(self, intent: Intent) -> None:
        """The records of a look are in the buffer."""
        self._settle(intent.told, intent.progress)

    def heard(self, hlc: int) -> None:
        """Rows have come with stamps up to this one: whatever is told from now on is later."""
        if hlc > self.progress.hlc:
            self._settle((), msgspec.structs.replace(self.progress, hlc=hlc))

    def close(self) -> None:
        """Close the application's database; what was noted in it stays there."""
        if self._application:
            if self._schema:
                self._application.prune(self.progress.done)
            self._application.close()
        self._application = None
        self._version = -1

    def _settle(self, told: Iterable[Told], progress: Progress) -> None:
        self._shadow.settle(self.name, told, progress)
        self.progress = progress
        is_long = progress.done - self._pruned >= _PRUNE_ROWS
        if is_long and self._application and self._application.prune(progress.done):
            self._pruned = progress.done

    # ------------------------------------------------ the database and its schema

    def _opened(self) -> Application:
        if self._application is None:
            self._application = Application(self._settings.database, self.name)
        return self._application

    def _attend(self, application: Application) -> tuple[TableSchema, Progress]:
        """See to it that schema, log and triggers are what they should be."""
        schema, progress = self._schema, self.progress
        if schema is None or application.version() != self._version:
            self._schema = schema = self._read_schema(application)
            application.install(schema, self._new_generation())
            self._version = application.version()
        if application.generation() != progress.generation or not application.has(progress.done, progress.done_at):
            generation = self._new_generation()
            application.start_over(generation)
            self._pruned = 0
            start = {
                "database": str(self._settings.database),
                "generation": generation,
                "done": 0,
                "done_at": 0,
                "walk": Walk.ROWS,
                "place": None,
            }
            progress = msgspec.structs.replace(progress, **start)
            self._settle((), progress)
        return schema, progress

    def _read_schema(self, application: Application) -> TableSchema:
        table, key, columns = self._settings.table or self.name, self._settings.key, self._settings.columns
        problems = list(problems_of(application.connection, f"tables.{self.name}", table, key, columns))
        schema = read_schema(application.connection, table, key)
        if problems or schema is None:
            raise SettingsError(str(self._settings.database), problems)
        return schema

    def _new_generation(self) -> int:
        return int.from_bytes(self._random.token(_GENERATION_BYTES), "big") + 1

    def _announce(self, application: Application, look: _Look, progress: Progress) -> None:
        """Say what the table looks like now."""
        now_us = self._clock.now_us()
        renamed = self._renamed(application, look, progress)
        for old, new in renamed.items():
            self._shadow.rename(self.name, old, new)
        fields = {"columns": describe(look.schema), "key_columns": list(look.schema.key)}
        look.records.append(look.stamps.record(now_us, Op.SCHEMA, look.schema, renamed=renamed, **fields))
        look.times_us.append(now_us)

    def _renamed(self, application: Application, look: _Look, progress: Progress) -> dict[str, str]:
        """Columns that have another name than before, by their place; what they hold has to be the same."""
        before, after = progress.columns, look.columns
        if len(before) != len(after) or not before:
            return {}
        pairs = {old: new for old, new in zip(before, after, strict=True) if old != new}
        if set(pairs.values()) & set(before) or not self._hold_the_same(application, look.schema, pairs):
            return {}
        return pairs

    def _hold_the_same(self, application: Application, schema: TableSchema, pairs: Mapping[str, str]) -> bool:
        for packed in self._shadow.keys_after(self.name, None, _RENAME_SAMPLE):
            found = application.find(schema, tuple(pairs.values()), unpack_key(packed))
            cells = self._shadow.cells(self.name, packed)
            if found and cells and any(cells.get(old) != found.cells[new] for old, new in pairs.items()):
                return False
        return True

    # ----------------------------------------------------------------- looking

    def _follow_log(self, application: Application, look: _Look, progress: Progress) -> Progress:
        touched = application.touched(progress.done, len(look.schema.key), LOOK_KEYS)
        self.is_behind = len(touched) == LOOK_KEYS
        newest: dict[Key, tuple[Touched, int]] = {}
        for each in touched:
            newest[each.key] = (each, newest.get(each.key, (each, 0))[1] + 1)
        done: Touched | None = None
        for each in touched:
            last, states = newest[each.key]
            if last is each:
                self._see(application, look, each.key, each.at_us, states - 1)
            done = each
            if look.bytes > LOOK_BYTES:
                self.is_behind = True
                break
        return msgspec.structs.replace(progress, done=done.id, done_at=done.at_us) if done else progress

    def _walk_on(self, application: Application, look: _Look, progress: Progress) -> Progress:
        """A piece of a walk, if one is under way or due; after what the log says, which is newer."""
        now_us = self._clock.now_us()
        if progress.walk == Walk.NONE and now_us - progress.walked_us >= self._settings.verify_every_s * 1_000_000:
            progress = msgspec.structs.replace(progress, walk=Walk.ROWS, place=None)
        elif progress.walk == Walk.NONE and self._has_too_few(application, look, progress):
            progress = msgspec.structs.replace(progress, walk=Walk.SHADOW, place=None)
        if progress.walk == Walk.NONE or self.is_behind:
            return progress
        self.is_behind = True
        if progress.walk == Walk.ROWS:
            return self._walk_rows(application, look, progress, now_us)
        return self._walk_shadow(application, look, progress, now_us)

    def _has_too_few(self, application: Application, look: _Look, progress: Progress) -> bool:
        """Whether rows are gone that no trigger saw go; asked now and then where a unique index can make them go."""
        now_s = self._clock.monotonic_s()
        may_be = progress.done != self._counted_at and any(not each.is_constraint for each in look.schema.uniques)
        if self.is_behind or not may_be or now_s - self._counted_s < COUNT_EVERY_S:
            return False
        self._counted_at, self._counted_s = progress.done, now_s
        return application.count(look.schema) < self._shadow.count(self.name) + look.growth

    def _walk_rows(self, application: Application, look: _Look, progress: Progress, now_us: int) -> Progress:
        place = unpack_key(progress.place) if progress.place else None
        rows = application.after(look.schema, look.columns, place, WALK_ROWS)
        for row in rows:
            self._compare(look, row.key, row, now_us, 0)
        if len(rows) < WALK_ROWS:
            return msgspec.structs.replace(progress, walk=Walk.SHADOW, place=None)
        return msgspec.structs.replace(progress, place=pack_key(rows[-1].key))

    def _walk_shadow(self, application: Application, look: _Look, progress: Progress, now_us: int) -> Progress:
        keys = self._shadow.keys_after(self.name, progress.place, WALK_ROWS)
        for packed in keys:
            self._see(application, look, unpack_key(packed), now_us, 0)
        if len(keys) < WALK_ROWS:
            self.is_behind = False
            return msgspec.structs.replace(progress, walk=Walk.NONE, place=None, walked_us=now_us)
        return msgspec.structs.replace(progress, place=keys[-1])

    def _see(self, application: Application, look: _Look, key: Key, at_us: int, states: int) -> None:
        """Look at one row."""
        self._compare(look, key, application.find(look.schema, look.columns, key), at_us, states)

    def _compare(self, look: _Look, key: Key, row: Found | None, at_us: int, states: int) -> None:
        if None in key:
            look.refused.append(("its key has a NULL: nothing names the row", repr(key)[:_RAW_CHARS]))
            return
        packed = pack_key(key)
        before: Cells | None = look.told[packed].cells if packed in look.told else self._shadow.cells(self.name, packed)
        found = difference(before, row.cells if row else None)
        if found is None:
            return
        look.growth += {Op.INSERT: 1, Op.DELETE: -1}.get(found.op, 0)
        look.told[packed] = Told(packed, row.cells if row else None)
        size = sum(map(_size, found.cells.values()))
        look.bytes += size
        why = _why_not(row, found.cells, size)
        if why:
            look.refused.append((why, repr(key)[:_RAW_CHARS]))
            return
        fields = {"key": dict(zip(look.schema.key, key, strict=True)), "cells": found.cells}
        more: dict[str, object] = {"states": states} if states else {}
        changed = deltas(self._settings.counters, before, found.cells) if found.op == Op.UPDATE else {}
        if changed:
            more["deltas"] = changed
        look.records.append(look.stamps.record(at_us, found.op, look.schema, **fields, **more))
        look.times_us.append(at_us)

    def _concluded(self, look: _Look, progress: Progress) -> Intent | None:
        """Keep what was found; a look that has nothing to say is settled at once."""
        if not look.records and not look.refused:
            if progress != self.progress:
                self._settle(look.told.values(), progress)
            return None
        progress = msgspec.structs.replace(
            progress, look=progress.look + 1, number=look.stamps.number, hlc=look.stamps.hlc
        )
        times = look.times_us or [self._clock.now_us()]
        intent = Intent(look.records, look.refused, min(times), max(times), list(look.told.values()), progress)
        self._shadow.intend(self.name, intent)
        return intent


def _why_not(row: Found | None, cells: Cells, size: int) -> str:
    """Why a change cannot be said, if it cannot."""
    unreadable = [name for name in row.unreadable if name in cells] if row else []
    if unreadable:
        return f"the text in {', '.join(unreadable)} is not UTF-8"
    return f"the row has more than {MAX_RECORD_BYTES} bytes" if size > MAX_RECORD_BYTES // 2 else ""


def _size(value: Value) -> int:
    return len(value) if isinstance(value, str | bytes) else 8
