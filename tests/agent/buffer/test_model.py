"""Whatever happens in whatever order: every record is acknowledged, held or receipted, and is what it was.

A Hypothesis state machine drives one buffer and one hub through appends, sealing, exchanges whose answers get lost,
crashes, restores of the hub from a backup, ages and a bound that is far too small.
"""

from __future__ import annotations

import asyncio
import copy
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from farshore_agent.buffer.receipts import present
from farshore_agent.buffer.streams import all_streams
from farshore_agent.errors import BufferFull
from farshore_agent.settings import EffortChoice, StreamSettings, WhenFull
from farshore_protocol.batch import parse_batch
from farshore_protocol.columns import decode
from farshore_protocol.ranges import EMPTY, RangeSet, upto
from tests.agent.buffer.world import MIB, FakeHub, World, admitted, drain, exchange, policies

T = TypeVar("T")

STREAMS = {
    "evicting": StreamSettings(when_full=WhenFull.EVICT, effort=EffortChoice.FAST, priority=3, max_age_s=3 * 86_400),
    "thinning": StreamSettings(when_full=WhenFull.THIN, effort=EffortChoice.FAST, priority=5),
    "refusing": StreamSettings(when_full=WhenFull.REFUSE, effort=EffortChoice.FAST, priority=7),
}
Key = tuple[bytes, str, int]


class BufferMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="buffer-model-"))
        self.world = World(self.folder / "0" / "buffer.db", policies=policies(**STREAMS))
        self.world.path.parent.mkdir()
        self.world.settings = replace(self.world.settings, max_bytes=256 * 1024)
        self.world.seal = replace(self.world.seal, max_records=20)
        self.hub = FakeHub(self.world)
        self.backup: Any = ({}, {})
        self.produced: dict[Key, Any] = {}
        self.taken_s: dict[Key, float] = {}
        self.forgotten: set[Key] = set()
        self.lives = 0
        self.serial = 0

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(step)

    @initialize()
    def begin(self) -> None:
        self.buffer = self.run(self.world.open())

    @rule(stream=st.sampled_from(sorted(STREAMS)), count=st.integers(0, 60), noise=st.sampled_from([0, 40, 2500]))
    def append(self, stream: str, count: int, noise: int) -> None:
        records = []
        for _ in range(count):
            self.serial += 1
            records.append({"ts": 1_795_435_200, "n": self.serial, "noise": self.world.random.token(noise)})
        try:
            answer = self.run(self.buffer.append(stream, admitted(records, refused=count % 3)))
        except BufferFull:
            return
        assert answer.last - answer.first + 1 == count
        for sequence, record in enumerate(records, answer.first):
            key = (answer.incarnation, stream, sequence)
            assert key not in self.produced
            self.produced[key] = record
            self.taken_s[key] = self.world.clock.monotonic_s()

    @rule(flush=st.booleans(), link_up=st.booleans())
    def seal(self, flush: bool, link_up: bool) -> None:
        self.run(self.buffer.seal_due(link_up=link_up, flush=flush))

    @rule(max_batches=st.integers(1, 10))
    def send(self, max_batches: int) -> None:
        self.run(exchange(self.buffer, self.hub, max_batches=max_batches))

    @rule(max_batches=st.integers(1, 10))
    def send_and_lose_the_answer(self, max_batches: int) -> None:
        self.run(exchange(self.buffer, self.hub, max_batches=max_batches, whole=False, answered=False))

    @rule()
    def back_the_hub_up(self) -> None:
        self.backup = copy.deepcopy((self.hub.records, self.hub.receipted))
        for key in self.hub.streams:
            there = self.hub.stored(*key) | self.hub.receipted.get(key, EMPTY)
            self.hub.archived[key] = there.watermark

    @rule()
    def restore_the_hub(self) -> None:
        self.forgotten |= self.known_to_the_hub(self.hub.records, self.hub.receipted)
        self.forgotten -= self.known_to_the_hub(*self.backup)
        self.hub.records, self.hub.receipted = copy.deepcopy(self.backup)
        self.hub.life = self.world.random.token(8)

    def known_to_the_hub(self, records: dict[Key, Any], receipted: dict[tuple[bytes, str], RangeSet]) -> set[Key]:
        return {key for key in self.produced if key in records or key[2] in receipted.get(key[:2], EMPTY)}

    @rule(days=st.sampled_from([0.001, 1, 8]))
    def grow_older(self, days: float) -> None:
        self.world.clock.advance(days * 86_400)
        self.run(self.buffer.expire())

    @rule()
    def restart(self) -> None:
        self.run(self.buffer.close())
        self.buffer = self.run(self.world.open())

    @rule()
    def crash(self) -> None:
        self.lives += 1
        folder = self.folder / str(self.lives)
        folder.mkdir()
        for suffix in ("", "-wal"):
            source = self.world.path.with_name("buffer.db" + suffix)
            if source.exists():
                shutil.copy(source, folder / source.name)
        self.run(self.buffer.close())
        self.world.path = folder / "buffer.db"
        self.buffer = self.run(self.world.open())

    @precondition(lambda self: hasattr(self, "buffer"))
    @invariant()
    def every_sequence_is_acknowledged_held_or_receipted(self) -> None:
        database = self.buffer._store._database
        for row in all_streams(database):
            assert (row.acknowledged | row.given_up | row.held) == upto(row.head)
            assert row.held & row.given_up == EMPTY
            assert row.held - present(database, row.id) == EMPTY
            totals = [database.the_row("chunk_totals", row.id)]
            assert totals == [(row.tail_records, row.tail_bytes)]

    @precondition(lambda self: hasattr(self, "buffer"))
    @invariant()
    def what_waits_is_what_was_produced(self) -> None:
        batches = self.run(self.buffer.waiting(max_bytes=MIB, max_batches=3))
        for loaded in self.run(self.buffer.load([batch.id for batch in batches])):
            sealed = parse_batch(loaded.raw)
            if sealed.header.dictionary or "." in sealed.header.stream:
                continue
            records = decode(self.world.keys[sealed.header.epoch].open(sealed)).records()
            for sequence, record in enumerate(records, sealed.header.first):
                assert self.produced[sealed.header.incarnation, sealed.header.stream, sequence] == record

    @precondition(lambda self: hasattr(self, "buffer"))
    @invariant()
    def the_file_keeps_its_bound(self) -> None:
        assert self.world.path.stat().st_size <= self.world.settings.max_bytes

    def teardown(self) -> None:
        try:
            if hasattr(self, "buffer"):
                self.settle()
        finally:
            self.loop.close()
            shutil.rmtree(self.folder)

    def settle(self) -> None:
        self.run(drain(self.buffer, self.hub))
        for key, record in self.produced.items():
            receipted = self.hub.receipted.get(key[:2], EMPTY)
            assert self.hub.records.get(key) == record or key[2] in receipted or self.may_be_lost(key)
        unknown = {key for key in self.hub.records if "." not in key[1]} - self.produced.keys()
        assert not unknown
        self.run(self.buffer.close())

    def may_be_lost(self, key: Key) -> bool:
        """A hub from an old backup lacks what it once had, and the agent keeps what it delivered for a while only."""
        age_s = self.world.clock.monotonic_s() - self.taken_s[key]
        return key in self.forgotten and age_s >= self.world.settings.retain_acknowledged_s


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
