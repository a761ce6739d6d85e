"""What has to hold of a hub that opens what a disk has kept: every answer was true, and the ledger is as the inbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text

from farshore_hub.store.engine import reading
from farshore_hub.store.ranges import unpack_ranges
from farshore_hub.store.schema import accounts, batches, intervals, key_epochs, sites
from farshore_protocol.batch import digest_of
from farshore_protocol.ranges import EMPTY, RangeSet
from tests.contracts.hub_world import HubWorld
from tests.disk.hub_life import DATABASE, HubLife
from tests.disk.medium import Files

Stream = tuple[str, bytes, str]
"""Site, incarnation, stream."""


class HubJudge:
    """Judges what is left of one life."""

    def __init__(self, life: HubLife) -> None:
        self._life = life

    async def judge(self, files: Files, after: int, folder: Path, *, to_the_end: bool) -> list[str]:
        """Put the files into the empty folder, open them, and name what is wrong.

        Args:
            files: what the disk has kept.
            after: how many operations had been done to it.
            folder: where to look at it.
            to_the_end: also send everything again.
        """
        for name, content in files.items():
            (folder / name).write_bytes(content)
        try:
            world = HubWorld(f"sqlite:///{folder}/{DATABASE}")
            try:
                faults = self._faults(world, after)
                if to_the_end and not faults:
                    faults = await self._sent_again(world)
                return faults
            finally:
                world.engine.dispose()
        except Exception as error:  # noqa: BLE001 - nothing may be wrong with what is there, in whatever way
            return [f"it fails: {type(error).__name__}: {error}"]

    def _faults(self, world: HubWorld, after: int) -> list[str]:
        with reading(world.engine) as connection:
            faults = [
                f"integrity: {line}" for line in connection.scalars(text("PRAGMA integrity_check")) if line != "ok"
            ]
            faults += self._unbalanced(connection)
            faults += self._untrue(connection, after)
        return faults

    def _unbalanced(self, connection: Connection) -> Iterator[str]:
        """Whether the ledger says what is in the inbox, and nothing is there twice."""
        stored, ledger = _inbox(connection), _ledger(connection, "stored")
        for stream in stored.keys() | ledger.keys():
            there = stored.get(stream, [])
            ranges = RangeSet.of(*there)
            if ranges.count != sum(last - first + 1 for first, last in there):
                yield f"twice: {stream[0]}: {there}"
            if ranges != ledger.get(stream, EMPTY):
                yield f"unbalanced: {stream[0]}: the inbox has {ranges}, the ledger {ledger.get(stream)}"

    def _untrue(self, connection: Connection, after: int) -> Iterator[str]:
        """Whether an answer that was given is not true."""
        stored, receipted = _ledger(connection, "stored"), _ledger(connection, "receipted")
        known = set(connection.scalars(select(sites.c.name)))
        epochs = set(map(bytes, connection.scalars(select(key_epochs.c.epoch))))
        for at, name in self._life.added:
            if at <= after and name not in known:
                yield f"lost: site {name}"
        for answered in self._life.answered:
            if answered.after > after:
                continue
            if not set(answered.answer.held) <= epochs:
                yield f"lost: a key epoch of {answered.site}"
            for account in answered.answer.accounts:
                stream = (answered.site, account.incarnation, account.stream)
                said = RangeSet.from_wire(account.stored)
                if said - stored.get(stream, EMPTY):
                    yield f"lost: {answered.site}: {said - stored.get(stream, EMPTY)}"
                if RangeSet.from_wire(account.receipted) - receipted.get(stream, EMPTY) - stored.get(stream, EMPTY):
                    yield f"lost: receipts of {answered.site}"

    async def _sent_again(self, world: HubWorld) -> list[str]:
        """Sites that hear nothing send everything again: then everything that they sent is there, once."""
        known = {name for _, name in self._life.added}
        with reading(world.engine) as connection:
            missing = known - set(connection.scalars(select(sites.c.name)))
        for name in missing:
            world.add_site(name)
        for name, sent in self._life.sent.items():
            for parcel in sent.parcels:
                await world.deliver(parcel, name)
        with reading(world.engine) as connection:
            return list(self._unbalanced(connection))


def _inbox(connection: Connection) -> dict[Stream, list[tuple[int, int]]]:
    """Every stored run of sequences, as often as it is stored, of batches that are what they were."""
    query = (
        select(sites.c.name, accounts.c.incarnation, accounts.c.stream, batches)
        .join(accounts, accounts.c.id == batches.c.account_id)
        .join(sites, sites.c.id == accounts.c.site_id)
    )
    found: dict[Stream, list[tuple[int, int]]] = {}
    for row in connection.execute(query):
        assert digest_of(bytes(row.raw)) == bytes(row.digest), "a batch is not what it was"
        first, count = row._mapping[batches.c.first], row._mapping[batches.c.count]
        taken = RangeSet.of((first, first + count - 1)) if row.take is None else unpack_ranges(bytes(row.take))
        found.setdefault((row.name, bytes(row.incarnation), row.stream), []).extend(taken)
    return found


def _ledger(connection: Connection, kind: str) -> dict[Stream, RangeSet]:
    query = (
        select(sites.c.name, accounts.c.incarnation, accounts.c.stream, intervals.c.first, intervals.c.last)
        .join(accounts, accounts.c.id == intervals.c.account_id)
        .join(sites, sites.c.id == accounts.c.site_id)
        .where(intervals.c.kind == kind)
    )
    found: dict[Stream, RangeSet] = {}
    rows: list[Any] = list(connection.execute(query))
    for name, incarnation, stream, first, last in rows:
        key = (name, bytes(incarnation), stream)
        found[key] = found.get(key, EMPTY) | RangeSet.of((first, last))
    return found
