"""The buffer without asyncio: every method runs on the one worker thread, and leaves the file consistent when it fails.

In memory only: the life, the sealing key with its counter, plans and dictionaries. Everything else is in the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from farshore_agent.buffer import expiry, outbox, statement, status, tail
from farshore_agent.buffer.ballast import Ballast
from farshore_agent.buffer.chunk import Unencodable
from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.epochs import store_epoch
from farshore_agent.buffer.fresh import SealedAddition
from farshore_agent.buffer.group import Group, QueuedAppend, StreamGroup, merge
from farshore_agent.buffer.inspect import Flaw
from farshore_agent.buffer.model import Appended, BufferStatus, LoadedBatch, Manifest, OutboxBatch, Settled
from farshore_agent.buffer.repair import open_file, replace_file
from farshore_agent.buffer.resend import resend
from farshore_agent.buffer.room import Demand
from farshore_agent.buffer.scrub import Scrubber, scrub_all
from farshore_agent.buffer.seal_policy import Circumstances, Due, due, is_sealed_at_once, rest_of, together
from farshore_agent.buffer.sealer import Sealer
from farshore_agent.buffer.settling import Settlement
from farshore_agent.buffer.shed import Life, Shedder
from farshore_agent.buffer.streams import apply_priorities, begin_life, stream_by_name
from farshore_agent.errors import AgentError, BufferBroken, BufferFull
from farshore_agent.settings import BufferSettings, SealSettings, StreamPolicies
from farshore_protocol.messages import Answer, KeyEpoch
from farshore_protocol.names import COMPANIONS, QUARANTINE, base_of, companion_of
from farshore_protocol.sealing import EpochKey

SHRINK_PAGES: Final = 256
"""Free pages given back to the file system in one step."""

MAX_SAID: Final = 16
"""Statements whose answers may be outstanding. What a later answer would have settled is told again."""

Outcome = Appended | AgentError


class Store:
    """The open file and its present life.

    Attributes:
        made_at_once: how many batches commits have made, of records that never were in the tail.
    """

    def __init__(
        self, path: Path, settings: BufferSettings, seal: SealSettings, policies: StreamPolicies, vfs: str | None
    ) -> None:
        self._path = path
        self._vfs = vfs
        self._settings = settings
        self._seal = seal
        self._policies = policies
        self._sealer: Sealer | None = None
        self._epoch: KeyEpoch | None = None
        self._ballast = Ballast(path, settings.max_bytes)
        self._said: dict[tuple[bytes, int], statement.Said] = {}
        self._paused = outbox.NOTHING_PAUSED
        self.made_at_once = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        settings: BufferSettings,
        seal: SealSettings,
        policies: StreamPolicies,
        incarnation: bytes,
        now_us: int,
        vfs: str | None = None,
    ) -> Store:
        """Open, create or repair the file and begin a new life in it; on a full disk, with the room that was kept."""
        store = cls(path, settings, seal, policies, vfs)
        try:
            store._open(incarnation, now_us)
        except (BufferFull, BufferBroken):
            if not store._ballast.release():
                raise
            store._open(incarnation, now_us)
        return store

    def _open(self, incarnation: bytes, now_us: int) -> None:
        database = open_file(self._path, now_us, self._vfs)
        try:
            self._begin(database, incarnation, now_us)
        except BaseException:
            database.abandon()
            raise

    def _begin(self, database: Database, incarnation: bytes, now_us: int) -> None:
        database.limit(self._settings.max_bytes)
        self._database = database
        self._said.clear()
        self._scrubber = Scrubber()
        self._shedder = Shedder(database, self._settings.max_bytes, self._policies)
        with database.transaction():
            apply_priorities(database, self._policies)
            self.life = Life(begin_life(database, incarnation, now_us), incarnation)
        self._ballast.restore()

    def use(self, settings: BufferSettings, seal: SealSettings) -> None:
        """Go on under other settings, and under the policies as they are now; what is stored stays."""
        self._settings, self._seal = settings, seal
        self._database.limit(settings.max_bytes)
        disk_bytes, self._shedder = (
            self._shedder.disk_bytes,
            Shedder(self._database, settings.max_bytes, self._policies),
        )
        self._shedder.disk_bytes = disk_bytes
        with self._database.transaction():
            apply_priorities(self._database, self._policies)
        if self._sealer:
            self._sealer.use(seal)
        self._ballast = Ballast(self._path, settings.max_bytes)
        self._ballast.restore()

    def repair(self, why: str, incarnation: bytes, now_us: int) -> None:
        """Set the damaged file aside and go on in a new one, in a new life, with what could be read."""
        self._database.abandon()
        self._begin(replace_file(self._path, why, now_us, self._vfs), incarnation, now_us)
        if self._epoch:
            store_epoch(self._database, self._epoch)

    # ------------------------------------------------------------ appending

    def commit(self, appends: Sequence[QueuedAppend], now_us: int) -> list[Outcome]:
        """Store appends durably in one transaction; what became of each.

        Raises:
            BufferFull, BufferBroken: nothing was stored.
        """
        try:
            group = merge(appends, now_us, self._policies)
            additions = [self._joining(each, now_us) for each in group.streams.values()]
        except Unencodable:
            return self._each_apart(appends, now_us)
        if (
            self._shedder.disk_bytes is not None
            and sum(each.cost_bytes for each in additions) > self._shedder.free_bytes()
        ):
            self._look_for_room()
        try:
            refused = self._make_room(additions, now_us)
            if not refused:
                return self._append(appends, group, additions, now_us)
        except BufferFull:
            self.throw_ballast()
            refused = self._make_room(additions, now_us)
            if not refused:
                return self._append(appends, group, additions, now_us)
        return self._without(refused, appends, now_us)

    def _joining(self, group: StreamGroup, now_us: int) -> tail.Joining:
        """What a commit adds to one stream: batches, if they are worth it at once, else chunks for the tail."""
        sealed = None
        if self._sealer and is_sealed_at_once(len(group.records), self._policies.of(group.stream).effort, self._seal):
            row = stream_by_name(self._database, self.life.incarnation, group.stream)
            sealed = self._sealer.seal_fresh(row, group, now_us) if row else None
        return sealed or tail.encode_group(group, max_records=self._seal.max_records)

    def _make_room(self, additions: Sequence[tail.Joining], now_us: int) -> set[str]:
        demands = [Demand(each.stream, self._priority(each.stream), each.cost_bytes) for each in additions]
        return self._shedder.make_room(demands, self.life, now_us)

    def throw_ballast(self) -> bool:
        """Others have filled the disk: work within the file as it is, until the disk has room for the ballast again.

        Returns:
            Whether there is more room than before.
        """
        has_made_room = self._ballast.release() | self._database.fold()
        self._shedder.disk_bytes = self._database.file_bytes()
        return has_made_room

    def _look_for_room(self) -> bool:
        """Take the ballast's space again, if the disk has it, and use the disk again; whether it has."""
        has_room = self._ballast.restore()
        if has_room:
            self._shedder.disk_bytes = None
        return has_room

    def _append(
        self, appends: Sequence[QueuedAppend], group: Group, additions: Sequence[tail.Joining], now_us: int
    ) -> list[Outcome]:
        life, incarnation = self.life.id, self.life.incarnation
        heads = tail.append(self._database, (life, incarnation), additions, group.checkpoints, self._policies, now_us)
        self.made_at_once += sum(len(each.fresh) for each in additions if isinstance(each, SealedAddition))
        outcomes: list[Outcome] = []
        for queued, offset in zip(appends, group.offsets, strict=True):
            admitted = queued.admitted
            before = heads[queued.stream] + offset
            last = before + len(admitted.records)
            outcomes.append(Appended(incarnation, before + 1, last, len(admitted.refused)))
        return outcomes

    def _each_apart(self, appends: Sequence[QueuedAppend], now_us: int) -> list[Outcome]:
        """One append of several holds what cannot be stored: only that one fails."""
        if len(appends) > 1:
            return [outcome for append in appends for outcome in self.commit([append], now_us)]
        return [AgentError("a record holds something else than JSON's types", remedy="convert it before appending")]

    def _without(self, refused: set[str], appends: Sequence[QueuedAppend], now_us: int) -> list[Outcome]:
        full = BufferFull("the buffer is full and the stream's policy is to refuse", remedy="try again later")
        kept = [append for append in appends if not refused & _streams_of(append)]
        outcomes = iter(self.commit(kept, now_us)) if kept else iter(())
        keeps = set(map(id, kept))
        return [next(outcomes) if id(append) in keeps else full for append in appends]

    def _priority(self, stream: str) -> int:
        return self._policies.of(stream).priority

    def load_checkpoint(self, key: str) -> bytes | None:
        """How far an input has read."""
        row = self._database.row("checkpoint", key)
        return row[0] if row else None

    # -------------------------------------------------------------- sealing

    def use_epoch(self, epoch: KeyEpoch, key: EpochKey) -> None:
        """Seal under this key from now on."""
        store_epoch(self._database, epoch)
        self._epoch = epoch
        self._sealer = Sealer(key, self._seal, self._policies)

    @property
    def needs_epoch(self) -> bool:
        """Whether nothing can be sealed before a key is given."""
        return self._sealer is None

    def due(self, now_us: int, *, link_up: bool, flush: bool) -> list[Due]:
        """What is to be sealed now; nothing without a key."""
        if self._sealer is None:
            return []
        now = Circumstances(now_us, link_up, flush, self._shedder.used_share, self._settings.max_bytes)
        return due(tail.tails(self._database, self.life.id), now, self._seal)

    def seal_some(self, dues: Sequence[Due], now_us: int, *, link_up: bool, busy: bool) -> tuple[int, list[Due]]:
        """Seal one batch off the front of each of the first tails; how many were made, and what is still due."""
        if self._sealer is None:
            return 0, []
        now = together(dues, self._seal)
        fronts = self._sealer.seal_fronts(self._database, now, now_us, link_up=link_up, busy=busy)
        sealed = [(due, front) for due, front in zip(now, fronts, strict=True) if front]
        rests = (rest_of(due, front.columns.count, front.size, self._seal) for due, front in sealed)
        return len(sealed), [*filter(None, rests), *dues[len(now) :]]

    def fold(self) -> None:
        """Empty the log, in which records that are sealed now still stand as they came."""
        self._database.fold()

    # ----------------------------------------------------------- forwarding

    def waiting(self, *, max_bytes: int, max_batches: int) -> list[OutboxBatch]:
        """What to send next, in order."""
        return outbox.waiting(self._database, max_bytes=max_bytes, max_batches=max_batches, paused=self._paused)

    def waiting_ids(self) -> tuple[int, int]:
        """The least and the greatest id of what is to be sent; zeros when nothing is."""
        return outbox.waiting_ids(self._database, self._paused)

    def pause(self, streams: Iterable[str]) -> None:
        """Leave these streams, and their companions, out of what is sent, and no others."""
        self._paused = json.dumps([name for stream in streams for name in _with_companions(stream)])

    def resend(self, stream: str | None, first: int, last: int) -> tuple[int, int]:
        """Send once more what the hub has; how many batches and records that is."""
        return resend(self._database, stream, first, last)

    def load(self, ids: Sequence[int], now_us: int) -> list[LoadedBatch]:
        """The sealed bytes of batches, checked."""
        return outbox.load(self._database, ids, now_us)

    def attachments(self, batches: Iterable[OutboxBatch], now_us: int) -> tuple[list[KeyEpoch], list[bytes]]:
        """Key epochs and dictionaries that have to travel with these batches."""
        return outbox.attachments(self._database, batches, now_us)

    def manifest(self, *, whole: bool, streams: Iterable[tuple[bytes, str]], batches: Iterable[int]) -> Manifest:
        """What the next statement says, which goes with these batches."""
        made, said = statement.make_manifest(
            self._database, self.life.id, whole=whole, streams=streams, batches=batches
        )
        self._said[self.life.incarnation, made.number] = said
        while len(self._said) > MAX_SAID:
            del self._said[next(iter(self._said))]
        return made

    def settle(self, answer: Answer, fresh_incarnation: bytes, now_us: int) -> Settled:
        """Apply an answer of the hub. After a fork a new life begins, and the key is not used any more."""
        said = self._said.pop((answer.incarnation, answer.number), [])
        settled = Settlement(self._database, answer, said, now_us).apply(self.life.id, fresh_incarnation)
        if settled.forked:
            row = self._database.the_row("newest_life")
            self.life = Life(row[0], row[1])
            self._sealer = None
        return settled

    # ------------------------------------------------------------------ age

    def expire(self, now_us: int) -> int:
        """Remove what is too old; how many batches and chunks."""
        retain_us = round(self._settings.retain_acknowledged_s * 1_000_000)
        gone = expiry.retire(self._database, now_us - retain_us)
        gone += expiry.expire(self._database, self._policies, now_us)
        epoch = self._sealer.epoch if self._sealer else b""
        dictionaries = self._sealer.dictionaries if self._sealer else ()
        expiry.tidy(self._database, receipts_before_us=now_us - retain_us, epoch=epoch, dictionaries=dictionaries)
        if self._look_for_room():
            self._database.shrink(SHRINK_PAGES)
        return gone

    def scrub(self, now_us: int) -> float:
        """Read and check a little of the file, if it is time; for how many seconds to leave it then."""
        return self._scrubber.turn(self._database, now_us, round(self._settings.scrub_every_s * 1_000_000))

    def scrub_all(self, now_us: int) -> list[Flaw]:
        """Read and check all of it now, and mend what can be mended; what was found."""
        return scrub_all(self._database, now_us)

    def status(self) -> BufferStatus:
        """What is in the buffer."""
        return status.status_of(self._database, self._settings.max_bytes)

    def close(self) -> None:
        """Close the file. What was appended is in it; what was not sealed is sealed in the next life."""
        self._database.close()


def _with_companions(stream: str) -> list[str]:
    return [stream, *(companion_of(stream, each) for each in COMPANIONS)]


def _streams_of(append: QueuedAppend) -> set[str]:
    return {append.stream, companion_of(base_of(append.stream), QUARANTINE)}
