"""Makes the pages of a site's question, each question in one consistent view of the database. Blocking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, and_, select

from farshore_hub.merge import filters
from farshore_hub.merge.filters import Filter
from farshore_hub.merge.policy import Rules
from farshore_hub.merge.statements import Statements
from farshore_hub.share.cursor import Cursor, Epoch, pack, resumed, scope_name
from farshore_hub.share.rows import columns_told, key_of, key_told, latest, row_told
from farshore_hub.store import share as store
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.forget import note_asked
from farshore_hub.store.labels import labels_of
from farshore_hub.store.merge import exact
from farshore_hub.store.share import SharedTable
from farshore_hub.texts import exact_json
from farshore_protocol.limits import MAX_TEXT_CHARS, MIB
from farshore_protocol.ports import Random
from farshore_protocol.tables import Ask, Followed, Key, Page, Pages, RowTold, size_of

ROWS: Final = 2_000
BYTES: Final = 1 * MIB
"""Of one answer: after the row that passes one of these it is full."""

NOTE_EVERY_US: Final = 600 * 10**6
"""How often it is kept how far a site has come."""

MAX_ROW_BYTES: Final = 6 * MIB
_EPOCH_BYTES: Final = 8
_FETCH: Final = 50


@dataclass(frozen=True, slots=True)
class Shared:
    """How a declared table is shared: by which rules it is merged, and which rows of it a site may have."""

    rules: Rules
    filter: Filter


@dataclass(slots=True)
class _Room:
    """What an answer still has room for."""

    rows: int = ROWS
    bytes: int = BYTES

    @property
    def is_full(self) -> bool:
        return self.rows <= 0 or self.bytes <= 0

    def take(self, size: int) -> None:
        self.rows -= 1
        self.bytes -= size


@dataclass(slots=True)
class _Found:
    """What a page is made of."""

    version: int
    rows: list[RowTold] = field(default_factory=list)
    gone: list[Key] = field(default_factory=list)
    hlc: int = 0
    left_out: int = 0
    more: bool = False


class Sharer:
    """Makes pages. `begin` once before anything is merged.

    Args:
        shared: the tables that sites may follow, by name.
    """

    def __init__(self, engine: Engine, random: Random, shared: Mapping[str, Shared]) -> None:
        self._engine = engine
        self._epoch = random.token(_EPOCH_BYTES)
        self._shared = shared
        self._noted_us: dict[tuple[str, str], int] = {}

    def begin(self) -> None:
        """The hub has started."""
        if self._shared:
            with writing(self._engine) as connection:
                store.begin_epochs(connection, self._shared, self._epoch)

    def note(self, site: str, ask: Ask, now_us: int) -> None:
        """Keep now and then how far a site has come: deletes that all have heard of are forgotten (`forget`)."""
        due = [each for each in ask.tables if each.name in self._shared
               and now_us - self._noted_us.get((site, each.name), 0) >= NOTE_EVERY_US]  # fmt: skip
        if not due:
            return
        with writing(self._engine) as connection:
            site_id = store.site_id_of(connection, site)
            for each in due:
                if table := store.find_table(connection, each.name):
                    whole = self._whole(connection, table, site, site_id, each)
                    note_asked(connection, table.id, site_id, now_us, whole)
                    self._noted_us[site, each.name] = now_us

    def _whole(
        self, connection: Connection, table: SharedTable, site: str, site_id: int, followed: Followed
    ) -> tuple[int, int, int] | None:
        """The version up to which a site's copy has everything, its last change's number and its clock."""
        shared = self._shared[followed.name]
        scope = shared.filter.scope(site, labels_of(connection, site_id))
        places = filters.places(shared.filter.columns, table.layout)
        if not followed.is_whole or scope is None or places is None:
            return None
        _, _, cursor, _ = _Reading(connection, table, shared.rules, site_id).start(followed, scope, places)
        return (cursor.version, followed.number, followed.hlc) if cursor else None

    def versions(self) -> int:
        """A number that is another one after anything was merged."""
        with reading(self._engine) as connection:
            return store.versions(connection)

    def answer(self, site: str, ask: Ask) -> Pages:
        """The pages of a site's question."""
        self._begin_missing(ask)
        room, pages = _Room(), []
        with reading(self._engine) as connection:
            for followed in ask.tables:
                if room.is_full:
                    break
                pages.append(self._page(connection, site, followed, room))
        return Pages(pages)

    def _begin_missing(self, ask: Ask) -> None:
        """A table that a site has announced since the start has no start of the hub yet."""
        asked = {each.name for each in ask.tables}.intersection(self._shared)
        with reading(self._engine) as connection:
            tables = {name: store.find_table(connection, name) for name in asked}
            missing = [name for name, table in tables.items() if table and not store.epochs_of(connection, table.id)]
        if missing:
            with writing(self._engine) as connection:
                store.begin_epochs(connection, missing, self._epoch)

    def _page(self, connection: Connection, site: str, followed: Followed, room: _Room) -> Page:
        shared = self._shared.get(followed.name)
        if shared is None:
            return _refused(followed.name, f"this table is not declared with 'down = true' ([tables.{followed.name}])")
        table = store.find_table(connection, followed.name)
        if table is None or not table.layout.key:
            return Page(followed.name)
        site_id = store.site_id_of(connection, site)
        labels = labels_of(connection, site_id)
        scope = shared.filter.scope(site, labels)
        places = filters.places(shared.filter.columns, table.layout)
        if scope is None:
            wanted = ", ".join(sorted({each.label for each in shared.filter.terms} - set(labels) - {"", filters.NAME}))
            return _refused(followed.name, f"its filter asks for a label that this site does not have: {wanted}")
        if places is None:
            return _refused(followed.name, f"its filter names a column that it does not have: {shared.filter.columns}")
        return _Reading(connection, table, shared.rules, site_id).page(followed, scope, places, room)


def _refused(name: str, why: str) -> Page:
    return Page(name, refused=why[:MAX_TEXT_CHARS])


class _Reading:
    """One table, as one site sees it."""

    def __init__(self, connection: Connection, table: SharedTable, rules: Rules, site_id: int) -> None:
        self._connection = connection
        self._table = table
        self._site_id = site_id
        self._statements = Statements(table.id, table.layout, rules)

    def start(
        self, followed: Followed, scope: tuple[str | int, ...], places: list[tuple[str, Any]]
    ) -> tuple[str, bytes, Cursor | None, list[Epoch]]:
        """What the site may see, as text and by name; its cursor, if it can go on from it; the starts of the hub."""
        told = exact(filters.held(value, column.type) for value, (_, column) in zip(scope, places, strict=True))
        named = scope_name(json.dumps([name for name, _ in places]), told)
        epochs = [Epoch(*each) for each in store.epochs_of(self._connection, self._table.id)]
        return told, named, resumed(followed.cursor, named, epochs, self._table.version, self._table.floor), epochs

    def page(
        self, followed: Followed, scope: tuple[str | int, ...], places: list[tuple[str, Any]], room: _Room
    ) -> Page:
        """What has changed since the site's cursor, as far as there is room."""
        held = [filters.held(value, column.type) for value, (_, column) in zip(scope, places, strict=True)]
        wanted = dict(zip((name for name, _ in places), held, strict=True))
        told, named, known, epochs = self.start(followed, scope, places)
        cursor = known or Cursor(b"", named, 0, self._table.version)
        found = self._found(cursor, wanted, told, room)
        after = Cursor(epochs[-1].name if epochs else b"", named, found.version, cursor.began)
        merged = 0 if found.more else store.merged_number(self._connection, self._table.id, self._site_id)
        return Page(
            followed.name,
            pack(after),
            fresh=known is None,
            more=found.more,
            merged=merged,
            hlc=max(found.hlc, self._table.horizon),
            key=columns_told(self._table.layout.key),
            columns=columns_told(self._table.layout.cells),
            rows=found.rows,
            gone=found.gone,
            left_out=found.left_out,
        )

    def _found(self, cursor: Cursor, wanted: dict[str, Any], told: str, room: _Room) -> _Found:
        limit = room.rows
        found = _Found(self._table.version)
        departed = store.departures(self._connection, self._table.id, told, cursor.version, limit) if wanted else []
        if len(departed) == limit:
            # A page ends where both rows and departures are known to be whole.
            found.version, found.more = departed[-1].version, True
        self._take_rows(found, cursor, wanted, room)
        layout = self._table.layout
        for each in departed:
            values = exact_json.loads(each.row_key)
            if each.version <= found.version and isinstance(values, list) and not self._is_its(values, wanted):
                found.gone.append(key_told(layout, values))
        return found

    def _take_rows(self, found: _Found, cursor: Cursor, wanted: dict[str, Any], room: _Room) -> None:
        """Rows of the site's scope up to `found.version`, which is set back where there is no room for all of them."""
        merged, limit, last, is_cut = self._statements.merged.c, room.rows, cursor.version, False
        query = self._statements.changed(cursor.version, limit)
        query = query.where(merged.version <= found.version, *(merged[name] == each for name, each in wanted.items()))
        result = self._connection.execution_options(yield_per=_FETCH).execute(query)
        for number, row in enumerate(result.mappings(), 1):
            if room.is_full:
                is_cut = True
                break
            last, is_cut = row["version"], number == limit
            found.hlc = max(found.hlc, latest(self._table.layout, row))
            self._take_row(found, row, cursor, wanted, room)
        result.close()
        if is_cut:
            found.version, found.more = last, True

    def _take_row(self, found: _Found, row: RowMapping, cursor: Cursor, wanted: dict[str, Any], room: _Room) -> None:
        layout = self._table.layout
        if not row["is_present"] or any(row[name] != value for name, value in wanted.items()):
            if row["version"] > cursor.began:
                key = key_of(layout, row)
                found.gone.append(key)
                room.take(size_of(key))
            return
        told = row_told(layout, row)
        size = size_of(told)
        if size > MAX_ROW_BYTES:
            found.left_out += 1
            return
        found.rows.append(told)
        room.take(size)

    def _is_its(self, key: list[Any], wanted: dict[str, Any]) -> bool:
        """Whether a row is the site's now; then it is told as a row, here or on a later page."""
        merged = self._statements.merged.c
        same = and_(*(merged[name] == value for name, value in zip(self._statements.keys, key, strict=True)))
        its = (merged[name] == value for name, value in wanted.items())
        query = select(merged.version).where(same, self._statements.is_present(), *its)
        return self._connection.execute(query).first() is not None
