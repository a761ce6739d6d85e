"""A real store with real sealed batches in it, and the parts of the lake over it."""

from __future__ import annotations

import atexit
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, CursorResult, Engine, insert, select

from farshore_hub.lake.files.location import Location
from farshore_hub.lake.lease import lease_for
from farshore_hub.lake.reader import LakeReader
from farshore_hub.lake.settings import LakeSettings, QuerySettings
from farshore_hub.lake.spill import Spill
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.worker.workers import Workers
from farshore_hub.lake.writer import LakeWriter
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.ranges import pack_ranges
from farshore_hub.store.schema import accounts, batches, metadata, sites
from farshore_protocol.batch import BatchHeader, Kind, digest_of, parse_batch
from farshore_protocol.columns import Columns, Effort, decode, encode
from farshore_protocol.ranges import RangeSet
from farshore_protocol.sealing import EpochKey
from farshore_shell.system import SystemClock, ThreadRunner

HUB = b"hub-id-8"
LIFE = bytes.fromhex("00000000000000a1")
EPOCH = b"epoch--8"
KEY = bytes(32)
MIB = 2**20
START_US = 1_763_900_000_000_000

WORKERS = Workers(SystemClock().monotonic_s)
"""One zygote for all tests of this process."""
atexit.register(WORKERS.close)


class KeyOpener:
    """Opens batches that were sealed under one well-known key."""

    def columns(self, site: str, raw: bytes) -> Columns:
        return decode(EpochKey(site, EPOCH, KEY).open(parse_batch(raw)))


@dataclass
class HandClock:
    """A clock that stands still until it is moved."""

    us: int = START_US

    def now_us(self) -> int:
        return self.us

    def monotonic_s(self) -> float:
        return self.us / 1e6

    async def sleep(self, seconds: float) -> None:
        self.us += int(seconds * 1e6)


@dataclass
class Stored:
    """What the accept path would have stored; `location` is where its tables go, `folder` is for the rest."""

    engine: Engine
    location: Location
    folder: Path
    clock: HandClock = field(default_factory=HandClock)
    spill_bytes: int = 256 * MIB
    _counter: Iterator[int] = field(default_factory=itertools.count)
    _next: dict[tuple[str, bytes, str], int] = field(default_factory=dict)

    def add(
        self,
        records: Sequence[Mapping[str, Any]],
        *,
        stream: str = "boiler",
        site: str = "north",
        incarnation: bytes = LIFE,
        take: RangeSet | None = None,
    ) -> int:
        """Store a sealed batch of `records`, in the next sequences of its stream; returns its id."""
        key = (site, incarnation, stream)
        first = self._next.get(key, 1)
        self._next[key] = first + len(records)
        header = BatchHeader(Kind.RECORDS, incarnation, EPOCH, next(self._counter), stream, first, len(records))
        body = encode(Columns.from_records(records), effort=Effort.FAST)
        sealed = EpochKey(site, EPOCH, KEY).seal(header, body)
        return self.add_raw(sealed.raw, first, len(records), stream, site, incarnation, take)

    def continue_after(self, last: int) -> None:
        """Give the sequences after `last` again, in the one stream there is."""
        (key,) = self._next
        self._next[key] = last + 1

    def add_raw(
        self,
        raw: bytes,
        first: int,
        count: int,
        stream: str = "boiler",
        site: str = "north",
        incarnation: bytes = LIFE,
        take: RangeSet | None = None,
    ) -> int:
        row = {"first": first, "count": count, "digest": digest_of(raw), "content_digest": raw[-16:], "raw": raw}
        row |= {"received_us": self.clock.now_us(), "take": None if take is None else pack_ranges(take)}
        with writing(self.engine) as connection:
            row["account_id"] = self._account(connection, stream, site, incarnation)
            return _key(connection.execute(insert(batches).values(row)))

    def _account(self, connection: Connection, stream: str, site: str, incarnation: bytes) -> int:
        site_id = connection.scalar(select(sites.c.id).where(sites.c.name == site))
        if site_id is None:
            new = insert(sites).values(name=site, state="active", created_us=0)
            site_id = _key(connection.execute(new))
        own = {"site_id": site_id, "incarnation": incarnation, "stream": stream}
        found = connection.scalar(select(accounts.c.id).filter_by(**own))
        if found is None:
            found = _key(connection.execute(insert(accounts).values(own | {"held": pack_ranges(RangeSet())})))
        return int(found)

    def payload(self, batch: int) -> bytes | None:
        """A batch's sealed bytes; None once they were given up."""
        with reading(self.engine) as connection:
            return connection.scalar(select(batches.c.raw).where(batches.c.id == batch))

    @property
    def tables(self) -> LakeTables:
        return LakeTables(self.location, HUB)

    @property
    def lake(self) -> Path:
        """The lake's folder, for a test that looks into it."""
        if self.location.folder is None:
            pytest.skip("it looks into the folder")
        return self.location.folder

    @property
    def lock_file(self) -> Path:
        return self.folder / "lock"

    @property
    def spill(self) -> Spill:
        return Spill(self.folder / "spill", self.spill_bytes)

    def writer(self, **settings: float) -> LakeWriter:
        """A fresh writer, as after a start."""
        runner = ThreadRunner("lake")
        chosen = LakeSettings(**settings)  # type: ignore[arg-type]
        lease = lease_for(self.engine, self.lock_file)
        return LakeWriter(self.engine, KeyOpener(), self.tables, lease, self.clock, runner, chosen)

    def reader(self, **settings: float) -> LakeReader:
        chosen = QuerySettings(**settings)  # type: ignore[arg-type]
        return LakeReader(self.engine, KeyOpener(), self.tables, WORKERS, self.spill, chosen)

    async def drain(self, **settings: float) -> int:
        """Write everything with a fresh writer that goes away again."""
        writer = self.writer(**settings)
        try:
            return await writer.drain()
        finally:
            await writer.close()

    def rows(self, stream: str = "boiler") -> list[tuple[str, str, int]]:
        """Site, incarnation and sequence of every row of a stream's table."""
        table = self.tables.open(stream)
        if table is None:
            return []
        rows = table.rows().to_table(columns=["_site", "_incarnation", "_seq"]).to_pylist()
        return sorted((row["_site"], row["_incarnation"], row["_seq"]) for row in rows)

    def sequences(self, stream: str = "boiler") -> list[int]:
        return [sequence for _site, _life, sequence in self.rows(stream)]


def readings(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Plain telemetry."""
    return [{"ts": 1_763_900_000 + n, "temp": n + 0.5, "device": f"pump-{n % 3}"} for n in range(start, start + count)]


def _key(done: CursorResult[Any]) -> int:
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def make_schema(engine: Engine) -> None:
    metadata.create_all(engine)
