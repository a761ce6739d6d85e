"""What a look sees: observations by subject, each kind by one set-wise query. Blocking."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine

from farshore_hub.alerts.decide import Observation, Subject
from farshore_hub.alerts.kinds import HOUR_S, Kind
from farshore_hub.alerts.rules import Rules
from farshore_hub.ledger.completeness import AccountRow
from farshore_hub.store import lake, looks
from farshore_hub.store.accounts import read_troubled
from farshore_hub.store.engine import reading
from farshore_hub.watch.promises import Promises
from farshore_protocol.names import base_of

RECEIPTS_WITHIN_S: Final = HOUR_S
FORKS_WITHIN_S: Final = 24 * HOUR_S
_BY_POLICY: Final = ("expired", "thinned")
"""Reasons that somebody chose for a stream: no news."""

_SHOWN_RANGES: Final = 3
_US_PER_S: Final = 1_000_000

Seen = tuple[Subject, Observation]


@dataclass(frozen=True, slots=True)
class Eyes:
    """Where a look looks.

    Attributes:
        folders: whose disks must have room, by what they hold.
        lake_fault: what is wrong with the lake writer, or nothing.
        promises: what streams and objectives promise.
    """

    engine: Engine
    rules: Rules
    folders: dict[str, Path]
    lake_fault: Callable[[], str]
    promises: Promises

    def look(self, now_us: int) -> dict[Subject, Observation]:
        """Everything that may be worth telling, in one consistent view of the store."""
        with reading(self.engine) as connection:
            found: list[Seen] = [
                *self._balances(connection, now_us),
                *self._sites(connection, now_us),
                *_receipts(connection, now_us),
                *_forks(connection, now_us),
                *self._lake(connection, now_us),
            ]
        return dict(chain(found, self._disks(), self.promises.look(now_us).items()))

    def _balances(self, connection: Connection, now_us: int) -> Iterator[Seen]:
        ages: dict[Subject, float] = {}
        gaps: dict[Subject, list[AccountRow]] = {}
        clear = self.rules.lowest_clear(Kind.PENDING_AGE)
        for row in read_troubled(connection, now_us - int(clear * _US_PER_S)):
            stream = base_of(row.stream)
            if row.stands.gaps:
                gaps.setdefault(Subject(Kind.GAP, row.site, stream), []).append(row)
            if row.stands.pending and row.oldest_us is not None:
                subject = Subject(Kind.PENDING_AGE, row.site, stream)
                ages[subject] = max(ages.get(subject, 0), (now_us - row.oldest_us) / _US_PER_S)
        yield from ((subject, Observation(age_s)) for subject, age_s in ages.items() if age_s >= clear)
        yield from ((subject, _missing(rows)) for subject, rows in gaps.items())

    def _sites(self, connection: Connection, now_us: int) -> Iterator[Seen]:
        before_us = now_us - int(self.rules.lowest_clear(Kind.SITE_SILENT) * _US_PER_S)
        for site, heard_us in looks.unheard_since(connection, before_us):
            yield Subject(Kind.SITE_SILENT, site), Observation((now_us - heard_us) / _US_PER_S)
        from_us = self.rules.lowest_clear(Kind.CLOCK_OFFSET) * _US_PER_S
        for site, offset_us in looks.wrong_clocks(connection, from_us):
            detail = f"it is {'ahead' if offset_us > 0 else 'behind'}"
            yield Subject(Kind.CLOCK_OFFSET, site), Observation(abs(offset_us) / _US_PER_S, detail=detail)

    def _lake(self, connection: Connection, now_us: int) -> Iterator[Seen]:
        oldest_us = lake.lag(connection).oldest_us
        if oldest_us is not None:
            yield Subject(Kind.LAKE_STUCK), Observation((now_us - oldest_us) / _US_PER_S, detail=self.lake_fault())

    def _disks(self) -> Iterator[Seen]:
        devices: set[int] = set()
        for what, folder in self.folders.items():
            with suppress(OSError):  # a folder that is not there yet fills no disk
                device, usage = folder.stat().st_dev, shutil.disk_usage(folder)
                if device not in devices:
                    devices.add(device)
                    # What the file system keeps back for its administrator counts as used: we cannot have it.
                    used = 100 * (1 - usage.free / usage.total) if usage.total else 0
                    yield Subject(Kind.HUB_DISK, facet=what), Observation(used, detail=f"{usage.free:,} bytes are free")


def _missing(rows: list[AccountRow]) -> Observation:
    rows.sort(key=lambda row: (row.incarnation, row.stream))
    first = rows[0]
    ranges = [f"{row.stream} {a}-{b}" for row in rows for a, b in row.stands.gaps]
    more = f" and {len(ranges) - _SHOWN_RANGES} more" if len(ranges) > _SHOWN_RANGES else ""
    # The first that is missing: a gap that grows at its end is the same, one that was repaired and came anew is not.
    mark = f"{first.incarnation.hex()} {first.stream} {first.stands.gaps.ranges[0][0]}"
    detail = ", ".join(ranges[:_SHOWN_RANGES]) + more
    return Observation(sum(row.stands.gap for row in rows), mark, detail)


def _receipts(connection: Connection, now_us: int) -> Iterator[Seen]:
    for found in looks.given_up_since(connection, now_us - RECEIPTS_WITHIN_S * _US_PER_S):
        if found.reason not in _BY_POLICY:
            subject = Subject(Kind.RECEIPTS, found.site, base_of(found.stream), found.reason)
            yield subject, Observation(found.records, detail=f"{found.reason}, within an hour")


def _forks(connection: Connection, now_us: int) -> Iterator[Seen]:
    for found in looks.forked_since(connection, now_us - FORKS_WITHIN_S * _US_PER_S):
        subject = Subject(Kind.FORK, found.site, base_of(found.stream))
        yield subject, Observation(found.batches, detail="within a day; the second copy is kept aside")
