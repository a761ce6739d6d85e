"""What the buffer's tests stand on: a clock and randomness that obey, work done at once, and a small hub."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from farshore_agent.buffer import Admitted, Buffer, Manifest, Refused
from farshore_agent.settings import BufferSettings, EffortChoice, SealSettings, StreamPolicies, StreamSettings, WhenFull
from farshore_protocol.batch import Kind, digest_of, parse_batch
from farshore_protocol.columns import Dictionary, decode
from farshore_protocol.messages import Account, Answer, KeyEpoch, Refusal, short
from farshore_protocol.ranges import EMPTY, RangeSet
from farshore_protocol.sealing import EpochKey

T = TypeVar("T")

SITE = "ship-1"
START_US = 1_795_435_200_000_000
MIB = 1024 * 1024
SMALL = BufferSettings(max_bytes=8 * MIB, max_commit_bytes=1 * MIB)
SEAL = SealSettings(max_records=100, max_bytes=64 * 1024, linger_s=5, linger_offline_s=600)


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.us = START_US
        self._jumped_us = 0

    def now_us(self) -> int:
        return self.us + self._jumped_us

    def jump(self, years: int) -> None:
        """Somebody sets the clock."""
        self._jumped_us += years * 365 * 86_400_000_000

    def monotonic_s(self) -> float:
        return self.us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        self.us += round(seconds * 1_000_000)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self.us += round(seconds * 1_000_000)


class FakeRandom:
    """Never the same twice, and the same in every run."""

    def __init__(self) -> None:
        self._drawn = 0

    def token(self, count: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(b"%d" % self._drawn).digest(count)

    def uniform(self, low: float, high: float) -> float:
        return low


async def at_once(work: Callable[[], T]) -> T:
    """Runs work where it is called, after letting others run."""
    await asyncio.sleep(0)
    return work()


def admitted(records: Iterable[dict[str, Any]], *, refused: int = 0, at_us: int = START_US) -> Admitted:
    records = list(records)
    size = sum(len(str(record)) for record in records)
    refusals = [Refused(line, "temp", "not a number", "{bad}") for line in range(1, refused + 1)]
    return Admitted(records, at_us if records else 0, at_us if records else 0, size, refusals)


def readings(start: int, count: int) -> list[dict[str, Any]]:
    return [{"ts": START_US // 1000 + n, "n": n, "temp": 20 + n % 7 / 10} for n in range(start, start + count)]


def policies(**streams: StreamSettings) -> StreamPolicies:
    return StreamPolicies(StreamSettings(), streams)


EVICT = StreamSettings(when_full=WhenFull.EVICT, effort=EffortChoice.FAST)
THIN = StreamSettings(when_full=WhenFull.THIN, effort=EffortChoice.FAST)


@dataclass
class World:
    """One buffer at a time over one file, and everything it is handed."""

    path: Path
    settings: BufferSettings = SMALL
    seal: SealSettings = SEAL
    policies: StreamPolicies = field(default_factory=policies)
    clock: FakeClock = field(default_factory=FakeClock)
    random: FakeRandom = field(default_factory=FakeRandom)
    keys: dict[bytes, EpochKey] = field(default_factory=dict)
    vfs: str | None = None

    async def open(self, *, sealing: bool = True) -> Buffer:
        buffer = await Buffer.open(
            self.path,
            settings=self.settings,
            seal=self.seal,
            policies=self.policies,
            clock=self.clock,
            random=self.random,
            runner=at_once,
            vfs=self.vfs,
        )
        if sealing:
            await self.give_epoch(buffer)
        return buffer

    async def give_epoch(self, buffer: Buffer) -> None:
        epoch, secret = self.random.token(8), self.random.token(32)
        self.keys[epoch] = EpochKey(SITE, epoch, secret)
        message = KeyEpoch(epoch, SITE, self.clock.now_us(), b"hub-key.", b"sealed", b"signed")
        await buffer.use_epoch(message, self.keys[epoch])


class FakeHub:
    """Stores records by (incarnation, stream, sequence) and says so."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.life = b"life-001"
        self.records: dict[tuple[bytes, str, int], dict[str, Any]] = {}
        self.receipted: dict[tuple[bytes, str], RangeSet] = {}
        self.dictionaries: dict[bytes, Dictionary] = {}
        self.epochs: set[bytes] = set()
        self.archived: dict[tuple[bytes, str], int] = {}
        self.streams: set[tuple[bytes, str]] = set()
        self._taken: list[bytes] = []

    def take(self, raw: bytes) -> None:
        """Store a batch; a record that comes again has to be the same."""
        batch = parse_batch(raw)
        header = batch.header
        body = self.world.keys[header.epoch].open(batch)
        if header.kind is Kind.DICTIONARY:
            dictionary = Dictionary(body)
            self.dictionaries[dictionary.id] = dictionary
            return
        dictionary_used = self.dictionaries[header.dictionary] if header.dictionary else None
        records = decode(body, dictionary=dictionary_used).records()
        assert len(records) == header.count
        for sequence, record in enumerate(records, header.first):
            key = (header.incarnation, header.stream, sequence)
            assert self.records.setdefault(key, record) == record
        self.streams.add((header.incarnation, header.stream))
        self._taken.append(batch.digest)

    def take_all(self, raws: Iterable[bytes]) -> None:
        """Store the batches of one parcel; what came before it has its answer, or never gets one."""
        self._taken.clear()
        for raw in raws:
            self.take(raw)

    def stored(self, incarnation: bytes, stream: str) -> RangeSet:
        numbers = (n for of, name, n in self.records if (of, name) == (incarnation, stream))
        return RangeSet.of(*((n, n) for n in numbers))

    def note(self, manifest: Manifest) -> None:
        for receipt in manifest.receipts:
            key = (receipt.incarnation, receipt.stream)
            self.streams.add(key)
            self.receipted[key] = self.receipted.get(key, EMPTY) | RangeSet.of((receipt.first, receipt.last))
        self.streams.update((claim.incarnation, claim.stream) for claim in manifest.claims)

    def answer(
        self,
        incarnation: bytes,
        manifest: Manifest,
        *,
        refusals: list[Refusal] | None = None,
        forked: list[bytes] | None = None,
    ) -> Answer:
        """The answer to a statement that came with what was taken since the last answer."""
        taken, self._taken = self._taken, []
        accounts = [
            Account(
                of,
                name,
                self.stored(of, name).to_wire(),
                self.receipted.get((of, name), EMPTY).to_wire(),
                self.archived.get((of, name), 0),
            )
            for of, name in sorted(self.streams)
        ]
        held = [*self.epochs, *self.dictionaries]
        return Answer(
            b"the-hub.",
            self.life,
            START_US,
            SITE,
            incarnation,
            manifest.number,
            accounts,
            held,
            refusals or [],
            forked or [],
            taken=b"".join(map(short, taken)),
        )


async def exchange(
    buffer: Buffer, hub: FakeHub, *, max_batches: int = 100, whole: bool = True, answered: bool = True
) -> int:
    """One parcel there and the answer back, unless it is lost; how many batches it carried."""
    batches = await buffer.waiting(max_bytes=MIB, max_batches=max_batches)
    epochs, dictionaries = await buffer.attachments(batches)
    hub.epochs.update(epoch.id for epoch in epochs)
    loaded = await buffer.load([batch.id for batch in batches])
    streams, ids = {(batch.incarnation, batch.stream) for batch in batches}, [batch.id for batch in batches]
    manifest = await buffer.manifest(whole=whole, streams=streams, batches=ids)
    hub.take_all(dictionaries + [each.raw for each in loaded])
    hub.note(manifest)
    answer = hub.answer(buffer.incarnation, manifest)
    if answered:
        await buffer.settle(answer)
    return len(loaded)


async def drain(buffer: Buffer, hub: FakeHub) -> None:
    """Seal everything and bring it to the hub; a hub that was restored says only in an answer what it lacks."""
    await buffer.seal_due(link_up=True, flush=True)
    await exchange(buffer, hub)
    while await exchange(buffer, hub):
        pass


def digests(raws: Iterable[bytes]) -> list[bytes]:
    return [digest_of(raw) for raw in raws]
