"""The lake's part of an audit: what differs in a stream's table, and its repair.

What always holds in a repair: rows are exchanged in one Delta commit, so nobody sees them twice or not at all; a file
that cannot be read, and rows that nothing can prove, are kept beside the tables in `.damaged`; and a batch is wanted
again from its site only after its rows are out of the table. Killed anywhere, the next look finds what is left to do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from farshore_hub.audit.differences import Cure, Difference, Kind
from farshore_hub.audit.evidence import Evidence, Evident
from farshore_hub.audit.table import BadFile, Found
from farshore_hub.lake.loading import Loader
from farshore_hub.lake.naming import INCARNATION, SEQUENCE, SITE
from farshore_hub.lake.rows import joined
from farshore_hub.lake.tables import LakeTables, StreamTable
from farshore_hub.store import audit as store
from farshore_hub.store import lake as lake_store
from farshore_hub.store.audit import LakeEntry
from farshore_hub.store.engine import reading, writing
from farshore_protocol.ports import Clock
from farshore_protocol.ranges import RangeSet

DAMAGED: Final = ".damaged"
"""Beside the tables: files and rows that were taken out of it. Nothing reads it but people."""

MAX_RECORDS_AT_ONCE: Final = 200_000
MAX_BATCHES_AT_ONCE: Final = 50

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LakeCare:
    """Tells what differs in tables, and repairs them. To repair, the caller holds the lake's lease."""

    engine: Engine
    tables: LakeTables
    loader: Loader
    clock: Clock

    def streams(self) -> list[str]:
        """The streams that have a table, or had one."""
        with reading(self.engine) as connection:
            had = lake_store.streams_in_lake(connection)
        return sorted({*self.tables.streams(), *had})

    def known(self) -> list[str]:
        """The streams that the hub has heard of."""
        with reading(self.engine) as connection:
            return lake_store.streams(connection)

    def is_outdated(self, stream: str, found: Found) -> bool:
        """Whether files that could not be read are of no concern any more: others have taken their places."""
        if not found.bad_files:
            return False
        current = {file.path for file in self._table(stream).files()}
        return any(file.path not in current for file in found.bad_files)

    def has_lost(self, stream: str) -> bool:
        """Whether a stream without a table once had one."""
        with reading(self.engine) as connection:
            return stream in lake_store.streams_in_lake(connection)

    def heal_lost(self, stream: str) -> None:
        """Begin a table that is gone anew: what is still sealed is written again, the rest is wanted from the sites."""
        with writing(self.engine) as connection:
            lost = lake_store.release_lost_table(connection, stream)
        self._want(lost)

    def explain(self, stream: str, found: Found) -> Iterator[Difference]:
        """What a look at a table has found, in words; changes nothing."""
        yield from (_about_file(stream, file) for file in found.bad_files)
        for some in _portions(found.wrong):
            yield from (_about_rows(stream, evidence) for evidence in self._evidence(stream, some))
        if found.nobodys:
            what = f"the lake's table of {stream} has {found.nobodys} row(s) that no batch has"
            yield Difference(Kind.FOREIGN, what, Cure.NONE, stream=stream)

    def heal(self, stream: str, found: Found) -> None:
        """Rebuild what can be rebuilt, and ask the sites for the rest.

        Raises:
            OSError, deltalake.exceptions.DeltaError: of the disk; the next audit goes on.
        """
        if found.bad_files:
            self._table(stream).set_aside([file.path for file in found.bad_files], _aside(stream))
        for some in _portions(found.wrong):
            self._heal(stream, self._evidence(stream, some))

    def _evidence(self, stream: str, entries: Sequence[LakeEntry]) -> list[Evidence]:
        """What is left of batches; those that are in the lake no longer are left out."""
        table = self._table(stream)
        with reading(self.engine) as connection:
            ids = [entry.id for entry in entries]
            current = store.lake_entries_of(connection, stream, table.last_commit, ids)
            sealed = lake_store.batches_by_id(connection, ids)
        evident = Evident(self.loader, self.loader.names(stream), _aside(stream))
        return list(evident.of(table, current, sealed))

    def _heal(self, stream: str, evidence: Sequence[Evidence]) -> None:
        sound = {each.entry: each.sound for each in evidence if each.sound is not None}
        lost = [each for each in evidence if each.sound is None]
        if sound:
            self._table(stream).replace_rows(_condition(sound), joined(list(sound.values())))
        if lost:
            self._keep(stream, lost)
            self._table(stream).remove_rows(_condition(each.entry for each in lost))
            self._want(each.entry.id for each in lost)
        _log.warning("lake of %s: %d batch(es) rebuilt, %d wanted again", stream, len(sound), len(lost))

    def _want(self, batches: Iterable[int]) -> None:
        """A transaction for each: one that locks several sites could wait for a commit that waits for it."""
        for batch in batches:
            with writing(self.engine) as connection:
                store.want_rows_again(connection, batch, self.clock.now_us())

    def _table(self, stream: str) -> StreamTable:
        return self.tables.open_or_create(stream)

    def _keep(self, stream: str, lost: Sequence[Evidence]) -> None:
        """What is left of batches that nothing can prove, for whoever wants to look."""
        rows = joined([each.remains for each in lost])
        if rows.num_rows:
            name = f"rows-{self.clock.now_us()}-{lost[0].entry.id}.parquet"
            self.tables.files.write_table(rows, f"{_aside(stream)}/{name}")


def _aside(stream: str) -> str:
    return f"{DAMAGED}/{stream}"


def _portions(entries: Sequence[LakeEntry]) -> Iterator[list[LakeEntry]]:
    """So few at a time that their rows fit memory."""
    some: list[LakeEntry] = []
    records = 0
    for entry in entries:
        records += entry.taken.count
        if some and (records > MAX_RECORDS_AT_ONCE or len(some) == MAX_BATCHES_AT_ONCE):
            yield some
            some, records = [], entry.taken.count
        some.append(entry)
    if some:
        yield some


def _condition(entries: Iterable[LakeEntry]) -> str:
    """SQL for the rows of batches. Names of sites have no quotes in them."""
    return " OR ".join(
        f"({SITE} = '{each.site}' AND {INCARNATION} = '{each.incarnation}' AND {SEQUENCE} BETWEEN {first} AND {last})"
        for each in entries
        for first, last in each.taken
    )


def _about_file(stream: str, file: BadFile) -> Difference:
    what = f"a file of the lake's table of {stream} cannot be read: {file.path}: {file.why}"
    return Difference(Kind.FILE, what, Cure.REBUILT, stream=stream, size=file.size)


def _about_rows(stream: str, of: Evidence) -> Difference:
    entry = of.entry
    said = [f"{name} {ranges}" for name, ranges in _named(of).items() if ranges]
    what = f"the lake's rows of {entry.site}/{stream} {entry.taken} are not what was written: "
    what += ", ".join(said) or "values differ"
    return Difference(
        Kind.ROWS,
        what,
        Cure.WANTED if of.sound is None else Cure.REBUILT,
        entry.site,
        entry.incarnation,
        stream,
        entry.taken,
        of.missing,
        of.doubled,
        of.altered,
    )


def _named(of: Evidence) -> dict[str, RangeSet]:
    return {"missing": of.missing, "twice": of.doubled, "altered": of.altered}
