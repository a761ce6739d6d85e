"""The lake writer: a loop behind the accept path that writes what is stored into the streams' tables.

One process writes at a time. A stream whose commit fails (a full disk, say) is tried again later; the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from sqlalchemy import Engine

from farshore_hub.errors import Busy
from farshore_hub.lake.commits import Commits
from farshore_hub.lake.lease import Lease
from farshore_hub.lake.loading import Loader
from farshore_hub.lake.ports import Opener
from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.upkeep import Upkeep
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.lake import LakeCommit, WaitingStream
from farshore_protocol.ports import Clock, Runner

TICK_S: Final = 1.0
DEFAULTS: Final = LakeSettings()

_log = logging.getLogger(__name__)


class LakeWriter:
    """Writes the lake while it has the lease. All its work is done on `runner`, one piece after the other.

    Attributes:
        fault: what is wrong with which streams, as of the last turn; empty when all is well.
    """

    def __init__(
        self,
        engine: Engine,
        opener: Opener,
        tables: LakeTables,
        lease: Lease,
        clock: Clock,
        runner: Runner,
        settings: LakeSettings = DEFAULTS,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._runner = runner
        self._settings = settings
        self._commits = Commits(engine, Loader(engine, opener), tables, clock, settings)
        self._upkeep = Upkeep(engine, tables, settings)
        self._lease = lease
        self.fault = ""
        self._is_ours = False
        self._forget_at_s = 0.0

    async def run(self) -> None:
        """Write what arrives, until cancelled."""
        try:
            while True:
                await self._clock.sleep(await self._runner(self._turn))
        finally:
            await self._runner(self._release)

    @property
    def is_ours(self) -> bool:
        """Whether this process is the one that writes the lake."""
        return self._is_ours

    async def meanwhile(self, work: Callable[[], None]) -> None:
        """Do something to the lake that nobody else may do at the same time.

        Raises:
            Busy: another process of this hub writes the lake.
        """
        await self._runner(partial(self._meanwhile, work))

    async def drain(self) -> int:
        """Write everything that is stored, now; returns how many lake commits that took.

        Raises:
            Busy: another process of this hub writes the lake.
            Exception: of the disk or the database; nothing is lost, and the next call goes on.
        """
        return await self._runner(self._drain)

    async def close(self) -> None:
        """Let another process write the lake."""
        await self._runner(self._release)

    async def retry_quarantined(self) -> int:
        """Let the batches that could not be read be tried again, after an upgrade say; returns how many there are."""
        return await self._runner(self._retry_quarantined)

    def _turn(self) -> float:
        """Write what is due; returns for how many seconds to pause then."""
        try:
            if not self._hold():
                return self._settings.retry_s
            failed, has_more = self._write_due()
            self._keep_up()
        except Exception as error:  # noqa: BLE001  the hub takes records whatever becomes of the lake
            _log.exception("the lake writer stumbled; it tries again in %s s", self._settings.retry_s)
            failed, has_more = {"all streams": error}, False
        self.fault = "; ".join(f"{stream}: {error}" for stream, error in failed.items())
        if failed:
            return self._settings.retry_s
        return 0.0 if has_more else TICK_S

    def _hold(self) -> bool:
        held = self._lease.take()
        if held and not self._is_ours:
            self._commits.reconcile()
        self._is_ours = held
        return held

    def _release(self) -> None:
        self._is_ours = False
        self._lease.release()

    def _write_due(self) -> tuple[dict[str, Exception], bool]:
        """Finish what is pending, then write what waited long enough.

        Returns:
            The streams that failed, and why; and whether there may be more that is due, because one turn makes one
            commit of a stream.
        """
        failed: dict[str, Exception] = {}
        self._write(self._pending(), failed)
        now_us, is_due = self._clock.now_us(), self._settings.is_due
        due = [each.stream for each in self._waiting() if is_due(each.records, now_us - each.oldest_us)]
        for some in self._portions([stream for stream in due if stream not in failed]):
            self._write(self._commits.begin(some), failed)
        return failed, bool(due)

    def _write(self, commits: Sequence[LakeCommit], failed: dict[str, Exception]) -> None:
        """Append commits and mark those that could be, all at once.

        None after one that failed, because a table takes its commits in their order.
        """
        done: list[LakeCommit] = []
        for commit in commits:
            if commit.stream not in failed:
                self._append(commit, done, failed)
        self._commits.finish(done)
        for commit in done:
            self._upkeep.note_written(commit.stream)

    def _append(self, commit: LakeCommit, done: list[LakeCommit], failed: dict[str, Exception]) -> None:
        try:
            self._commits.append(commit)
        except Exception as error:  # noqa: BLE001  a table that cannot be written must not hold up the others
            _log.exception("a lake commit of %s failed; it will be tried again", commit.stream)
            failed[commit.stream] = error
        else:
            done.append(commit)

    def _drain(self) -> int:
        if not self._hold():
            raise Busy("another process of this hub writes the lake; what is stored gets there within seconds")
        commits = self._pending()
        done, failed = 0, dict[str, Exception]()
        while True:
            self._write(commits, failed)
            for error in failed.values():
                raise error
            done += len(commits)
            waiting = [each.stream for each in self._waiting()]
            if not waiting:
                return done
            commits = self._commits.begin(waiting[: self._settings.max_open_commits])

    def _portions(self, streams: Sequence[str]) -> Iterator[Sequence[str]]:
        most = self._settings.max_open_commits
        return (streams[start : start + most] for start in range(0, len(streams), most))

    def _meanwhile(self, work: Callable[[], None]) -> None:
        if not self._hold():
            raise Busy("another process of this hub writes the lake")
        work()

    def _pending(self) -> list[LakeCommit]:
        with reading(self._engine) as connection:
            return store.pending_commits(connection)

    def _waiting(self) -> list[WaitingStream]:
        with reading(self._engine) as connection:
            return store.waiting_streams(connection)

    def _keep_up(self) -> None:
        self._upkeep.compact_one()
        now_s = self._clock.monotonic_s()
        if now_s < self._forget_at_s:
            return
        self._forget_at_s = now_s + self._settings.forget_every_s
        self._upkeep.forget_payloads(self._clock.now_us())

    def _retry_quarantined(self) -> int:
        with writing(self._engine) as connection:
            return store.release_quarantined(connection)
