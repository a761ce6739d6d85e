"""The hub's side: starts the zygote when the first question comes, and holds conversations with workers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import pyarrow as pa

from farshore_hub.errors import Busy, HubError, OverLimit, TimedOut
from farshore_hub.lake.contents import FreshRows
from farshore_hub.lake.spill import Folder, Spill
from farshore_hub.lake.worker import messages
from farshore_hub.lake.worker.channel import Channel, HungUp, Kind
from farshore_hub.lake.worker.messages import Question

MAX_WORKERS: Final = 8
"""Conversations at one time; one lasts until its answer was taken, or its caller went away."""

MAX_EXPORTS: Final = 6
"""Of these, so many that may last as long as they take: the other places are for queries."""

START_S: Final = 60
"""What a zygote may take to start and to fork on a busy machine, beside the query's own time."""

_ENVIRONMENT: Final = {
    # One thread only, or it must not fork; and allocations that the kernel's bound counts when they are made.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "_RJEM_MALLOC_CONF": "background_thread:false",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKIO_WORKER_THREADS": "2",
}


class Workers:
    """Processes that answer questions. For any thread."""

    def __init__(self, monotonic_s: Callable[[], float], max_workers: int = MAX_WORKERS) -> None:
        self.monotonic_s = monotonic_s
        self._slots = threading.BoundedSemaphore(max_workers)
        self._export_slots = threading.BoundedSemaphore(min(MAX_EXPORTS, max_workers))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def zygote(self) -> int | None:
        """Its process id, if it was started."""
        return self._process.pid if self._process else None

    @contextmanager
    def place(self, *, is_export: bool = False) -> Iterator[None]:
        """A place for one conversation; an export is one that has all the time it takes.

        Raises:
            Busy: enough are under way.
        """
        with ExitStack() as taken:
            if is_export:
                _take(self._export_slots, taken, "enough exports are under way")
            _take(self._slots, taken, "enough queries and exports are under way")
            yield

    def open(self) -> socket.socket:
        """A conversation with a fresh worker."""
        ours, its = socket.socketpair()
        with its, self._lock:
            try:
                socket.send_fds(self._started(), [b"?"], [its.fileno()])
            except OSError:  # it was killed
                self._stop()
                socket.send_fds(self._started(), [b"?"], [its.fileno()])
        return ours

    def warm(self) -> None:
        """Start the zygote, so that the first question need not wait for it."""
        with self._lock:
            self._started()

    def close(self) -> None:
        """End the zygote and its workers."""
        with self._lock:
            self._stop()

    def _started(self) -> socket.socket:
        if self._control is None:
            self._control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with its:
                command = [sys.executable, "-P", "-m", "farshore_hub.lake.worker", str(its.fileno())]
                # A group of its own: an interrupt from the keyboard is for the hub alone.
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    command,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[its.fileno()],
                    env=os.environ | _ENVIRONMENT,
                    process_group=0,
                )
        return self._control

    def _stop(self) -> None:
        if self._control:
            self._control.close()
        if self._process:
            try:
                self._process.wait(START_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None


class Asked:
    """A question, and its answer as it is read. Closing it, from any thread, ends the process that answers.

    Args:
        workers: who answers.
        spill: where what does not fit memory goes.
        make: the question, given the folder for that; called when the answer is read.
        fresh: the rows that are not in the tables.
        timeout_s: for the time from the last row that was sent to the first of the answer; None: as long as it takes.
    """

    def __init__(
        self,
        workers: Workers,
        spill: Spill,
        make: Callable[[Folder], Question],
        fresh: FreshRows,
        timeout_s: float | None = None,
    ) -> None:
        self._workers = workers
        self._spill = spill
        self._make = make
        self._fresh = fresh
        self._timeout_s = timeout_s
        self._until_s: float | None = None
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._is_closed = False

    def tables(self) -> Iterator[pa.Table]:
        """The answer to a question without a format; the first table has the columns and no rows. As `pieces`."""
        return map(messages.batch_from_buffer, self.pieces())

    def pieces(self) -> Iterator[bytearray]:
        """The answer, piece by piece.

        Raises:
            HubError: what the worker says, or the hub when it is not answered in time or not at all.
        """
        with (
            self._workers.place(is_export=self._timeout_s is None),
            self._spill.folder() as folder,
            self._opened() as channel,
        ):
            try:
                yield from self._conversation(channel, self._make(folder))
            except TimeoutError:
                limit_s = self._timeout_s or START_S
                raise TimedOut(f"the query took longer than {limit_s:g} s", remedy="ask for less at once") from None
            except HungUp:
                raise OverLimit(
                    "the query's process ended without an answer, most likely because it needs too much memory",
                    remedy="ask for less at once",
                ) from None

    def close(self) -> None:
        """Whoever asked does not wait any more."""
        with self._lock:
            self._is_closed = True
            if self._channel:
                self._channel.hang_up()

    @contextmanager
    def _opened(self) -> Iterator[Channel]:
        self._wait_for(START_S)
        channel = Channel(self._workers.open(), self._left_s)
        try:
            with self._lock:
                self._channel = channel
                if self._is_closed:
                    channel.hang_up()
            yield channel
        finally:
            with self._lock:
                self._channel = None
            channel.close()

    def _conversation(self, channel: Channel, question: Question) -> Iterator[bytearray]:
        channel.send(Kind.QUESTION, question.to_bytes())
        commits = messages.commits_from_bytes(_expect(Kind.OPENED, channel))
        for stream in question.named:
            self._tell(channel, stream, commits[stream])
        self._wait_for(self._timeout_s)
        while True:
            kind, raw = channel.receive()
            if kind is not Kind.PIECE:
                break
            yield raw
            self._wait_for(None)  # the answer to a query is there as a whole; an export takes as long as it takes
        if kind is Kind.PROBLEM:
            raise messages.problem_from_bytes(raw)

    def _tell(self, channel: Channel, stream: str, last_commit: int) -> None:
        names, tables = self._fresh.after(stream, last_commit)
        for table in tables:
            self._wait_for(START_S)  # opening the batches is the hub's own time
            for piece in messages.in_pieces(table.to_batches()):
                channel.send(Kind.ROWS, messages.batch_to_buffer(piece))
        self._wait_for(START_S)
        channel.send(Kind.COLUMNS, messages.columns_to_bytes(names))

    def _wait_for(self, seconds: float | None) -> None:
        self._until_s = None if seconds is None else self._workers.monotonic_s() + seconds

    def _left_s(self) -> float | None:
        if self._until_s is None:
            return None
        left_s = self._until_s - self._workers.monotonic_s()
        if left_s <= 0:
            raise TimeoutError
        return left_s


def _take(slots: threading.BoundedSemaphore, taken: ExitStack, refusal: str) -> None:
    if not slots.acquire(blocking=False):
        raise Busy(refusal)
    taken.callback(slots.release)


def _expect(kind: Kind, channel: Channel) -> bytearray:
    got, raw = channel.receive()
    if got is Kind.PROBLEM:
        raise messages.problem_from_bytes(raw)
    if got is not kind:
        raise HubError(f"the query's process said {got.name} where {kind.name} was expected")
    return raw
