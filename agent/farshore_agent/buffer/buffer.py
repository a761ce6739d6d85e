"""The buffer as the rest of the agent sees it: asyncio in front, the store on the one worker thread behind.

Always: an append is answered after its commit; appends that wait during a commit share the next one; the queue in front
of the commits is bounded, and producers wait where it is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from farshore_agent.buffer.connection import Malformed
from farshore_agent.buffer.group import QueuedAppend, next_group, size_of
from farshore_agent.buffer.model import (
    Admitted,
    Appended,
    BufferStatus,
    Checkpoint,
    LoadedBatch,
    Manifest,
    OutboxBatch,
    Settled,
)
from farshore_agent.buffer.store import Store
from farshore_agent.errors import BufferBroken, BufferFull, Stopping
from farshore_agent.settings import BufferSettings, SealSettings, StreamPolicies
from farshore_protocol.batch import ID_BYTES
from farshore_protocol.messages import Answer, KeyEpoch
from farshore_protocol.ports import Clock, Random, Runner
from farshore_protocol.sealing import EpochKey

QUEUED_COMMITS: Final = 4
"""How many full commits may wait in memory."""

FOLD_EVERY_S: Final = 60.0
"""So long a record may stand in the log after it was sealed, and for the time until the next sealing."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many bytes a commit may add, and how many records fill a batch."""

    commit_bytes: int
    batch_records: int


class Buffer:
    """One per process. Made by `open`.

    Attributes:
        on_full: called when there is leisure to seal at least one full batch.
    """

    def __init__(self, store: Store, clock: Clock, random: Random, runner: Runner, bounds: Bounds) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._runner = runner
        self._bounds = bounds
        self.on_full: Callable[[], None] = lambda: None
        self._unsealed = 0
        self._seen_at_once = 0
        self._queue: deque[QueuedAppend] = deque()
        self._queued_bytes = 0
        self._handed_over = self._done_with = 0
        self._commit_is_over = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._committing: asyncio.Task[None] | None = None
        self._is_closing = False
        self._unfolded, self._folded_s = 0, clock.monotonic_s()
        self._started_us, self._started_s = clock.now_us(), clock.monotonic_s()

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        settings: BufferSettings,
        seal: SealSettings,
        policies: StreamPolicies,
        clock: Clock,
        random: Random,
        runner: Runner,
        vfs: str | None = None,
    ) -> Buffer:
        """Open or create the buffer's file and begin a new incarnation.

        `vfs` names the SQLite file system to use instead of the machine's.

        Raises:
            BufferBroken: the disk refuses, or a newer agent made the file.
        """
        open_store = partial(
            Store.open,
            path,
            settings=settings,
            seal=seal,
            policies=policies,
            incarnation=random.token(ID_BYTES),
            now_us=clock.now_us(),
            vfs=vfs,
        )
        bounds = Bounds(settings.max_commit_bytes, seal.max_records)
        return cls(await runner(open_store), clock, random, runner, bounds)

    @property
    def incarnation(self) -> bytes:
        """The life that gives out sequences."""
        return self._store.life.incarnation

    # ------------------------------------------------------------ appending

    async def append(self, stream: str, admitted: Admitted, checkpoint: Checkpoint | None = None) -> Appended:
        """Store records, what was refused of them, and how far the input has read; all of it is on disk on return.

        Raises:
            BufferFull: there is no room and the stream's policy is to refuse.
            BufferBroken: the disk does not store.
            Stopping: the buffer is being closed.
        """
        while not self._has_room.is_set():
            await self._has_room.wait()
        if self._is_closing:
            raise Stopping("the agent is stopping", remedy="try again when it is back")
        size = size_of(admitted)
        queued = QueuedAppend(stream, admitted, checkpoint, asyncio.get_running_loop().create_future(), size)
        self._queue.append(queued)
        self._handed_over += 1
        self._count_queued(size)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_queued())
        return await queued.done

    def _count_queued(self, size: int) -> None:
        self._queued_bytes += size
        if self._queued_bytes > QUEUED_COMMITS * self._bounds.commit_bytes:
            self._has_room.clear()
        elif not self._has_room.is_set():
            self._has_room.set()

    async def _commit_queued(self) -> None:
        """Commit group after group until nothing is queued."""
        try:
            while self._queue:
                appends = next_group(self._queue, max_bytes=self._bounds.commit_bytes)
                for _ in appends:
                    self._queue.popleft()
                await self._commit(appends)
                self._count_queued(-sum(queued.size for queued in appends))
                self._note_done(len(appends))
        finally:
            self._committing = None
        if self._unsealed >= self._bounds.batch_records:
            self.on_full()

    def _note_done(self, count: int) -> None:
        self._done_with += count
        over, self._commit_is_over = self._commit_is_over, asyncio.Event()
        over.set()

    async def caught_up(self) -> None:
        """Return when all that was handed over before is on disk or was refused, whoever waits for it still."""
        mine = self._handed_over
        while self._done_with < mine:
            await self._commit_is_over.wait()

    async def _commit(self, appends: list[QueuedAppend]) -> None:
        outcomes: Sequence[Appended | Exception]
        try:
            outcomes = await self._run(partial(self._store.commit, appends, self._now_us()))
        except Exception as error:  # noqa: BLE001 - whatever it is, every waiter has to hear of it
            outcomes = [error] * len(appends)
        except BaseException:
            for queued in appends:
                queued.done.cancel()
            raise
        for queued, outcome in zip(appends, outcomes, strict=True):
            done = queued.done
            self._unsealed += len(queued.admitted.records)
            if done.done():
                continue
            if isinstance(outcome, Appended):
                done.set_result(outcome)
            else:
                done.set_exception(outcome)

    async def load_checkpoint(self, key: str) -> bytes | None:
        """How far an input has read; None when it never said so."""
        return await self._run(partial(self._store.load_checkpoint, key))

    async def use(self, settings: BufferSettings, seal: SealSettings) -> None:
        """Go on under other settings, and under the policies as they are now; what is stored stays as it is."""
        await self._run(partial(self._store.use, settings, seal))
        self._bounds = Bounds(settings.max_commit_bytes, seal.max_records)

    # -------------------------------------------------------------- sealing

    async def use_epoch(self, epoch: KeyEpoch, key: EpochKey) -> None:
        """Seal under this key from now on; the epoch is on disk on return. A key must never be given twice."""
        await self._run(partial(self._store.use_epoch, epoch, key))

    @property
    def needs_epoch(self) -> bool:
        """Nothing is sealed, because there is no key: none was given yet, or another process may be using it."""
        return self._store.needs_epoch

    async def seal_due(self, *, link_up: bool, flush: bool = False) -> int:
        """Seal what is due; how many batches were made, with those that commits have made since the last time.

        Appends are committed in between, and go first where sealing may wait.
        """
        self._unsealed = 0
        sealed, self._seen_at_once = self._store.made_at_once - self._seen_at_once, self._store.made_at_once
        dues = await self._run(partial(self._store.due, self._now_us(), link_up=link_up, flush=flush))
        while dues := [due for due in dues if not (due.may_wait and self._is_busy)]:
            step = partial(self._store.seal_some, dues, self._now_us(), link_up=link_up, busy=self._is_busy)
            made, dues = await self._run(step)
            sealed += made
        await self._fold(sealed)
        return sealed

    async def _fold(self, sealed: int) -> None:
        self._unfolded += sealed
        if self._unfolded and self._clock.monotonic_s() >= self._folded_s + FOLD_EVERY_S:
            self._unfolded, self._folded_s = 0, self._clock.monotonic_s()
            await self._run(self._store.fold)

    @property
    def _is_busy(self) -> bool:
        return self._committing is not None

    # ----------------------------------------------------------- forwarding

    async def waiting(self, *, max_bytes: int, max_batches: int) -> list[OutboxBatch]:
        """What to send next, in order: by priority, then oldest first, or newest first where the stream says so."""
        return await self._run(partial(self._store.waiting, max_bytes=max_bytes, max_batches=max_batches))

    async def waiting_ids(self) -> tuple[int, int]:
        """The least and the greatest id of what waits to be sent; zeros when nothing does."""
        return await self._run(self._store.waiting_ids)

    async def pause(self, streams: Iterable[str]) -> None:
        """Leave these streams, and their companions, out of what is sent, and no others."""
        await self._run(partial(self._store.pause, tuple(streams)))

    async def resend(self, stream: str | None, first: int, last: int) -> tuple[int, int]:
        """Send once more what the hub has of a stream, or of all, as far as it is kept; how many batches, records."""
        return await self._run(partial(self._store.resend, stream, first, last))

    async def load(self, ids: Sequence[int]) -> list[LoadedBatch]:
        """The sealed bytes of batches. One that is damaged becomes a receipt and is left out."""
        return await self._run(partial(self._store.load, ids, self._now_us()))

    async def attachments(self, batches: Iterable[OutboxBatch]) -> tuple[list[KeyEpoch], list[bytes]]:
        """The key epochs, and the sealed dictionaries, that have to travel with these batches."""
        return await self._run(partial(self._store.attachments, list(batches), self._now_us()))

    async def manifest(
        self, *, whole: bool, streams: Iterable[tuple[bytes, str]] = (), batches: Iterable[int] = ()
    ) -> Manifest:
        """What the next statement says; its number is used up, whether it is sent or not. `batches` go with it."""
        work = partial(self._store.manifest, whole=whole, streams=list(streams), batches=list(batches))
        return await self._run(work)

    async def settle(self, answer: Answer) -> Settled:
        """Apply an answer of the hub, whose signature was checked."""
        fresh = self._random.token(ID_BYTES)
        return await self._run(partial(self._store.settle, answer, fresh, self._now_us()))

    # ------------------------------------------------------------------ age

    async def expire(self) -> int:
        """Remove what is too old, and try again what the hub did not take; to be called every few minutes."""
        return await self._run(partial(self._store.expire, self._now_us()))

    async def scrub(self) -> float:
        """Read and check a little of the file, if it is time; for how many seconds to leave it then."""
        return await self._run(partial(self._store.scrub, self._now_us()))

    async def scrub_all(self) -> list[str]:
        """Read and check all of the file now and repair it; what was found, a line for each flaw."""
        try:
            found = await self._runner(partial(self._store.scrub_all, self._now_us()))
        except Malformed as error:
            await self._repair(str(error))
            return (await self.status()).repairs[-1:]
        return [f"{flaw.what}: {flaw.stream} {flaw.lost}" if flaw.lost else flaw.what for flaw in found]

    async def status(self) -> BufferStatus:
        """What is in the buffer."""
        return await self._run(self._store.status)

    async def close(self) -> None:
        """Commit what is queued, then close the file."""
        self._is_closing = True
        while self._committing is not None:
            await asyncio.shield(self._committing)
        await self._runner(self._store.close)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await self._with_ballast(work)
        except Malformed as error:
            await self._repair(str(error))
            raise BufferBroken("the buffer's file was damaged and has been replaced", remedy="try again") from error

    async def _repair(self, why: str) -> None:
        fresh = self._random.token(ID_BYTES)
        await self._runner(partial(self._store.repair, why, fresh, self._now_us()))

    async def _with_ballast(self, work: Callable[[], T]) -> T:
        try:
            return await self._runner(work)
        except BufferFull:
            # Bookkeeping, too, needs room.
            if not await self._runner(self._store.throw_ballast):
                raise
            return await self._runner(work)

    def _now_us(self) -> int:
        """Wall time that does not jump during a life: the ages of records are measured with it."""
        return self._started_us + round((self._clock.monotonic_s() - self._started_s) * 1_000_000)
