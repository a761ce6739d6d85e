"""A real hub store with its receiver, and sites that speak the protocol to it; for tests on both databases."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from unittest.mock import patch

from alembic.config import Config
from alembic.script import ScriptDirectory
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, func, insert, select, update

from farshore_hub.ledger.completeness import StreamCompleteness, completeness
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.receive.receiver import Receiver
from farshore_hub.store import migrate
from farshore_hub.store.accounts import read_accounts
from farshore_hub.store.engine import fold_log, open_engine, reading, writing
from farshore_hub.store.ranges import unpack_ranges
from farshore_hub.store.schema import accounts, batches, sites
from farshore_protocol.batch import BatchHeader, Kind, SealedBatch
from farshore_protocol.columns import Columns, encode
from farshore_protocol.documents import Signer
from farshore_protocol.messages import Answer, Claim, KeyEpoch, Reason, Receipt, Statement
from farshore_protocol.parcel import open_answer, pack_parcel
from farshore_protocol.ranges import Range, RangeSet
from farshore_protocol.sealing import EpochKey, SealingKey, seal_epoch

T = TypeVar("T")
LIFE = b"life-one"


class StoppedClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at_us = 1_795_435_200_000_000

    def now_us(self) -> int:
        return self.at_us

    def monotonic_s(self) -> float:
        return self.at_us / 1e6

    async def sleep(self, seconds: float) -> None:
        self.at_us += int(seconds * 1e6)
        await asyncio.sleep(0)


class CountingRandom:
    """Random enough for a test, and the same every time."""

    def __init__(self) -> None:
        self.drawn = 0

    def token(self, count: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_256(str(self.drawn).encode()).digest(count)

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


async def inline(work: Callable[[], T]) -> T:
    """Runs blocking work at once."""
    return work()


async def threaded(work: Callable[[], T]) -> T:
    """Runs blocking work on a thread, so that parcels really wait for each other."""
    return await asyncio.to_thread(work)


_SCRIPTS: list[ScriptDirectory] = []
_read_scripts: Final = ScriptDirectory.from_config


def _remembered_scripts(config: Config) -> ScriptDirectory:
    if not _SCRIPTS:
        _SCRIPTS.append(_read_scripts(config))
    return _SCRIPTS[0]


@contextmanager
def _scripts_read_once() -> Iterator[None]:
    """Alembic reads and compiles all migrations at each upgrade; in tests thousands of databases are opened."""
    with patch.object(ScriptDirectory, "from_config", _remembered_scripts):
        yield


@dataclass
class Keys:
    hub: bytes = b"hub-name"
    sealing: SealingKey = field(default_factory=lambda: SealingKey(b"seal-key", hashlib.shake_256(b"hub").digest(96)))
    signing: Ed25519PrivateKey = field(
        default_factory=lambda: Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"hub").digest())
    )
    signing_id: bytes = b"sign-key"
    chain: tuple[bytes, ...] = ()

    @property
    def signer(self) -> Signer:
        return Signer(self.signing_id, self.signing)

    @property
    def sealing_keys(self) -> list[SealingKey]:
        return [self.sealing]

    def chain_after(self, number: int) -> list[bytes]:
        return list(self.chain) if number == 0 else []


class HubWorld:
    """A hub on a real database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys = Keys()
        self.clock = StoppedClock()
        self.random = CountingRandom()
        self.engine = open_engine(url)
        try:
            fold_log(self.engine)
            with _scripts_read_once():
                migrate.upgrade(self.engine)
        except BaseException:
            self.engine.dispose()
            raise
        self.receiver = self.another_receiver()

    def another_receiver(self, engine: Engine | None = None, *, threads: bool = False) -> Receiver:
        """A receiver as another process, or another start of the hub, would have it."""
        runner = threaded if threads else inline
        at = engine or self.engine
        opener = BatchOpener(at, self.keys)
        return Receiver(at, self.keys, opener, clock=self.clock, random=self.random, verify_on=runner, commit_on=runner)

    def add_site(self, name: str) -> FakeSite:
        """An active site with a signing key."""
        site = FakeSite(name, self.keys)
        row = {
            "name": name,
            "state": "active",
            "signing_key": site.signer.public_key().public_bytes_raw(),
            "created_us": 0,
        }
        with writing(self.engine) as connection:
            connection.execute(insert(sites).values(row))
        return site

    def revoke(self, name: str) -> None:
        with writing(self.engine) as connection:
            connection.execute(update(sites).where(sites.c.name == name).values(state="revoked", revoked_us=1))

    async def deliver(self, raw: bytes, site: str | None, receiver: Receiver | None = None) -> Answer:
        answer = await (receiver or self.receiver).receive(raw, site)
        return open_answer(answer, {self.keys.signing_id: self.keys.signing.public_key()})

    def stored(self, site: str, stream: str = "boiler") -> list[int]:
        """Every stored sequence of a stream, once for each time that it is stored, over all incarnations."""
        query = (
            select(batches.c.first, batches.c.count, batches.c.take)
            .join(accounts, accounts.c.id == batches.c.account_id)
            .join(sites, sites.c.id == accounts.c.site_id)
            .where(sites.c.name == site, accounts.c.stream == stream)
        )
        found: list[int] = []
        with reading(self.engine) as connection:
            for first, count, take in connection.execute(query):
                ranges = RangeSet(((first, first + count - 1),)) if take is None else unpack_ranges(bytes(take))
                found += [each for a, b in ranges for each in range(a, b + 1)]
        return sorted(found)

    def balances(self) -> dict[tuple[str, str], tuple[int, int, int, int, int]]:
        """Produced, stored, receipted, pending and gap by site and stream, for sites of one incarnation."""
        with reading(self.engine) as connection:
            rows = list(read_accounts(connection))
        stands = {(row.site, row.stream): row.stands for row in rows}
        return {key: (of.produced, of.stored, of.receipted, of.pending, of.gap) for key, of in stands.items()}

    def completeness(self, *, silent_after_us: int = 10**15) -> list[StreamCompleteness]:
        with reading(self.engine) as connection:
            rows = read_accounts(connection)
            return completeness(rows, now_us=self.clock.now_us(), silent_after_us=silent_after_us)

    def count_batches(self) -> int:
        with reading(self.engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(batches)) or 0)


class FakeSite:
    """A site that speaks the protocol; its records say which sequence they have."""

    def __init__(self, name: str, keys: ReceivingKeys, life: str = "one") -> None:
        self.name = name
        self.keys = keys
        self.signer = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.incarnation = hashlib.sha256(f"{name} {life}".encode()).digest()[:8]
        secret = hashlib.sha256(f"{name} {life} key".encode()).digest()
        self.epoch_id = secret[:8]
        self.key = EpochKey(name, self.epoch_id, secret)
        self.epoch: KeyEpoch = seal_epoch(
            site=name,
            epoch=self.epoch_id,
            key=secret,
            created_us=0,
            hub_key=keys.sealing.id,
            hub_public=keys.sealing.public_bytes(),
            signer=self.signer,
        )
        self.counter = 0
        self.number = 0

    def batch(self, first: int, count: int, *, stream: str = "boiler", says: str = "") -> SealedBatch:
        """Records `first`…`first+count-1`; `says` changes their content."""
        body = encode(Columns.from_records([{"n": n, "says": says} for n in range(first, first + count)]))
        header = BatchHeader(Kind.RECORDS, self.incarnation, self.epoch_id, self.counter, stream, first, count)
        self.counter += 1
        return self.key.seal(header, body)

    def parcel(
        self,
        *batches: SealedBatch | bytes,
        head: int = 0,
        held: RangeSet | None = None,
        receipts: list[Receipt] | None = None,
        epochs: bool | list[KeyEpoch] = True,
        number: int | None = None,
        report: bytes = b"",
        **statement: object,
    ) -> bytes:
        """A parcel with a claim about `boiler` when there is a head; `statement` sets any field of the statement."""
        self.number += 1
        facts: dict[str, Any] = {
            "site": self.name,
            "incarnation": self.incarnation,
            "number": number or self.number,
            "at_us": 0,
            "claims": [Claim(self.incarnation, "boiler", head, (held or RangeSet()).to_wire())] if head else [],
            "receipts": receipts or [],
        }
        raw = [each if isinstance(each, bytes) else each.raw for each in batches]
        sent = epochs if isinstance(epochs, list) else [self.epoch] * epochs
        return pack_parcel(Statement(**facts | statement), self.signer, epochs=sent, batches=raw, report=report)

    def claim(self, head: int, *held: Range, stream: str = "boiler", closed: bool = False) -> Claim:
        return Claim(self.incarnation, stream, head, RangeSet.of(*held).to_wire(), closed=closed)

    def receipt(
        self,
        first: int,
        last: int,
        stream: str = "boiler",
        detail: str = "",
        summary: tuple[str, int, int] | None = None,
    ) -> Receipt:
        return Receipt(self.incarnation, stream, first, last, Reason.EVICTED, 5, detail, summary)

    def dictionary(self, content: bytes) -> SealedBatch:
        header = BatchHeader(Kind.DICTIONARY, self.incarnation, self.epoch_id, self.counter, "boiler", 0, 0)
        self.counter += 1
        return self.key.seal(header, content)
