"""One round of an audit, in small steps: whoever drives it sets the pace, and may go on later where it stopped.

First the accounts, a site at a time; then the sealed batches, some at a time; then the lake, some sites of a stream at
a time. What repairs the lake is handed out instead of done, because only the holder of the lake's lease may do it.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import pyarrow.dataset as pads
from deltalake.exceptions import DeltaError
from sqlalchemy import Engine

from farshore_hub.audit.accounts import HeldAgainst, held_against_batches, rebuild
from farshore_hub.audit.differences import AuditReport, Cure, Difference, Kind
from farshore_hub.audit.lake import LakeCare
from farshore_hub.audit.table import Found, check_table, of_site, of_sites
from farshore_hub.ledger.account import balance
from farshore_hub.store import audit as store
from farshore_hub.store.audit import EVERYTHING, BatchRow, LakeEntry, Scope
from farshore_hub.store.engine import reading, writing
from farshore_protocol.ports import Clock

_END: Final = "~"
"""After the names of all sites."""

MAX_ENTRIES: Final = 200_000
"""Batches whose digests are in memory at one time."""


class Part(enum.StrEnum):
    """The parts of a round, in their order."""

    ACCOUNTS = "accounts"
    BATCHES = "batches"
    LAKE = "lake"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a round is: what comes after it is still to be done.

    Attributes:
        after: a site's or a batch's id.
        stream, site: the last of the lake; without a site the whole of the stream is done.
    """

    part: Part = Part.ACCOUNTS
    after: int = 0
    stream: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has done.

    Attributes:
        read_bytes: of batches or files.
        position: where to go on after it; None in the middle of something.
        lake_work: is to be done by the holder of the lake's lease, before the next step.
    """

    read_bytes: int
    position: Position | None = None
    lake_work: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """A round over `scope`. With `repairs` it heals what it finds."""

    engine: Engine
    care: LakeCare
    clock: Clock
    report: AuditReport
    scope: Scope = EVERYTHING
    repairs: bool = False

    def steps(self, start: Position) -> Iterator[Step]:
        """The steps from a position on.

        Raises:
            OSError, SQLAlchemyError: of the machine; a later round goes on from the last position.
        """
        parts = (self._accounts, self._batches, self._lake)
        order = list(Part)
        for part, work in list(zip(order, parts, strict=True))[order.index(start.part) :]:
            yield from work(start if part is start.part else Position(part))

    # ------------------------------------------------------------ accounts

    def _accounts(self, start: Position) -> Iterator[Step]:
        with reading(self.engine) as connection:
            sites = store.site_ids(connection, self.scope.site)
        for site in sites[bisect_right(sites, start.after) :]:
            with reading(self.engine) as connection:
                held = [each for each in held_against_batches(connection, site) if self._is_asked_for(each)]
            self.report.accounts += len(held)
            differences = [found for each in held for found in _about_account(each)]
            for each in differences:
                self.report.note(each)
            if self.repairs and differences:
                rebuild(self.engine, site, self.clock.now_us())
            yield Step(0, replace(start, after=site))

    def _is_asked_for(self, held: HeldAgainst) -> bool:
        return self.scope.stream in (None, held.row.stream)

    # ------------------------------------------------------------- batches

    def _batches(self, start: Position) -> Iterator[Step]:
        after = start.after
        while True:
            with reading(self.engine) as connection:
                rows = store.read_batches(connection, after, self.scope)
            if not rows:
                return
            after, size = rows[-1].id, sum(row.size for row in rows)
            self.report.batches += len(rows)
            self.report.batch_bytes += size
            for row in rows:
                if not row.is_sound:
                    self._damaged(row)
            yield Step(size, replace(start, after=after))

    def _damaged(self, row: BatchRow) -> None:
        self.report.note(_about_batch(row))
        if not self.repairs:
            return
        with writing(self.engine) as connection:
            if row.in_lake:
                store.give_up_spare(connection, row.id)
            else:
                store.want_again(connection, row.id, self.clock.now_us())

    # ---------------------------------------------------------------- lake

    def _lake(self, start: Position) -> Iterator[Step]:
        for stream in self.care.streams():
            if self.scope.stream not in (None, stream) or (stream, bool(start.site)) < (start.stream, True):
                continue
            after = start.site if stream == start.stream else ""
            while after != _END:
                before, after = after, (yield from self._portion(stream, after))
                if after != before:
                    yield Step(0, Position(Part.LAKE, 0, stream, "" if after == _END else after))

    def _portion(self, stream: str, after: str) -> Generator[Step, None, str]:
        """Look at some sites of a stream together; returns the last of them, or `after` if it has to be done again."""
        try:
            table = self.care.tables.open(stream)
        except DeltaError as error:
            self.report.note(_about_table(stream, error))
            return _END
        if table is None:
            yield from self._lost_table(stream)
            return _END
        names, last = self._next_sites(stream, table.last_commit, after)
        with reading(self.engine) as connection:
            entries = store.lake_entries(connection, stream, table.last_commit, names, self.scope)
        found = yield from _paced(check_table(table, entries, self._rows_of(after, last)))
        if self.care.is_outdated(stream, found):
            return after  # it took so long that the files were joined and removed meanwhile: once more
        yield from self._judge(stream, found, entries)
        return last

    def _rows_of(self, after: str, last: str) -> pads.Expression:
        return of_sites(after, last) if self.scope.site is None else of_site(self.scope.site)

    def _next_sites(self, stream: str, commit: int, after: str) -> tuple[list[str], str]:
        """The next sites to look at together, and the name up to which that is; the last portion goes to the end."""
        with reading(self.engine) as connection:
            sites = store.sites_in_lake(connection, stream, commit, self.scope)
        names: list[str] = []
        batches = 0
        for name, count in sites:
            if name > after:
                batches += count
                if names and batches > MAX_ENTRIES:
                    return names, names[-1]
                names.append(name)
        return names, _END

    def _judge(self, stream: str, found: Found, entries: Sequence[LakeEntry]) -> Iterator[Step]:
        self.report.rows += found.rows
        self.report.file_bytes += found.read_bytes
        self.report.unproven += sum(entry.digest is None for entry in entries)
        if self.scope.since_us is not None:
            found = replace(found, nobodys=0)  # they may be of batches that were not asked for
        for difference in self.care.explain(stream, found):
            self.report.note(difference)
        if self.repairs and (found.wrong or found.bad_files):
            yield Step(0, lake_work=partial(self.care.heal, stream, found))

    def _lost_table(self, stream: str) -> Iterator[Step]:
        if self.care.has_lost(stream):
            self.report.note(_about_lost_table(stream))
            if self.repairs:
                yield Step(0, lake_work=partial(self.care.heal_lost, stream))


def _paced(look: Generator[int, None, Found]) -> Generator[Step, None, Found]:
    try:
        while True:
            yield Step(next(look))
    except StopIteration as ended:
        found: Found = ended.value
        return found


def _about_account(held: HeldAgainst) -> Iterator[Difference]:
    row, audited, stands = held.row, held.audited, balance(held.account)
    name, whose = f"{row.site}/{row.stream}", (row.site, row.incarnation.hex(), row.stream)
    if audited.unbacked:
        what = f"the ledger says that {name} {audited.unbacked} is stored, and no batch has it"
        yield Difference(Kind.UNBACKED, what, Cure.WANTED, *whose, audited.unbacked)
    if audited.uncounted:
        what = f"{name} {audited.uncounted} is stored, and the ledger does not say so"
        yield Difference(Kind.UNCOUNTED, what, Cure.REBUILT, *whose, audited.uncounted)
    if audited.doubled:
        what = f"{audited.doubled} record(s) of {name} are in two batches"
        yield Difference(Kind.DOUBLED, what, Cure.NONE, *whose)
    if held.miscounts:
        what = f"the balance of {name} is {stands.stored} stored and {stands.receipted} receipted; the ledger says "
        what += f"{row.stored_count} and {row.receipted_count}"
        yield Difference(Kind.MISCOUNTED, what, Cure.REBUILT, *whose)


def _about_batch(row: BatchRow) -> Difference:
    name, whose = f"{row.site}/{row.stream} {row.taken}", (row.site, row.incarnation.hex(), row.stream, row.taken)
    if row.in_lake:
        what = f"the sealed copy of {name} does not match its digest; the records are in the lake"
        return Difference(Kind.SPARE, what, Cure.REBUILT, *whose, size=row.size)
    what = f"the stored batch {name} does not match its digest"
    return Difference(Kind.BATCH, what, Cure.WANTED, *whose, size=row.size)


def _about_table(stream: str, error: DeltaError) -> Difference:
    what = f"the lake's table of {stream} cannot be opened: {error}; move its folder away and audit again"
    return Difference(Kind.FILE, what, Cure.NONE, stream=stream)


def _about_lost_table(stream: str) -> Difference:
    return Difference(Kind.FILE, f"the lake's table of {stream} is gone", Cure.REBUILT, stream=stream)
