"""Lake commits: from stored batches to rows in a table, exactly once.

Three steps: (1) one store transaction makes the commit, pending, and assigns batches to it; (2) their rows are appended
to the stream's table together with the commit's number; (3) it is marked done. Many streams share the transactions of
the first step and of the last. Killed anywhere, the next start finds it
pending, asks the table whether it has that number, and does what is left. A batch that cannot be read is taken out of
the commit before anything is appended, so it holds up nothing and is never taken for written.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import pyarrow as pa
from deltalake.exceptions import DeltaError
from sqlalchemy import Engine

from farshore_hub.errors import NotReady
from farshore_hub.lake.digests import digest_of
from farshore_hub.lake.event_times import hours_of
from farshore_hub.lake.loading import BadBatch, Loader
from farshore_hub.lake.naming import TIME, ColumnMap
from farshore_hub.lake.rows import joined
from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.tables import LakeTables, StreamTable
from farshore_hub.store import lake as store
from farshore_hub.store.audit import want_again
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.lake import LakeBatch, LakeCommit
from farshore_hub.store.post_days import count_stored
from farshore_protocol.hours import Hours
from farshore_protocol.ports import Clock

KEPT_TABLES: Final = 64
"""Those that were appended to last; each takes about 100 KiB."""

_log = logging.getLogger(__name__)


class Commits:
    """Makes and writes lake commits. Only the holder of the lease calls it."""

    def __init__(
        self, engine: Engine, loader: Loader, tables: LakeTables, clock: Clock, settings: LakeSettings
    ) -> None:
        self._engine = engine
        self._loader = loader
        self._tables = tables
        self._clock = clock
        self._settings = settings
        self._kept: OrderedDict[str, StreamTable] = OrderedDict()

    def reconcile(self) -> None:
        """After taking the lease: bring tables that are ahead of the store back to what it knows.

        After a restore from a backup the hub asks the sites for what came later, and would write it twice.

        Raises:
            NotReady: the object store loses commits, or a table has no version that is old enough.
            OSError, deltalake.exceptions.DeltaError: the disk or the object store does not answer.
        """
        self._kept.clear()
        self._tables.check_commits()
        for stream in self._tables.streams():
            if (table := self._tables.open(stream)) is not None:
                self._reconcile(stream, table)

    def _reconcile(self, stream: str, table: StreamTable) -> None:
        with reading(self._engine) as connection:
            known = store.last_commit(connection, stream)
        ahead = table.last_commit
        if ahead <= known:
            return
        _log.warning("the lake's table of %s is ahead of the database, which was restored: rolling it back", stream)
        try:
            table.roll_back(known)
        except DeltaError as error:
            raise NotReady(
                f"the lake's table of {stream} has rows that the database does not know, and no older version: {error}",
                remedy=f"move {self._tables.location.of(stream)} away; sites send again what they still have",
            ) from error
        with writing(self._engine) as connection:
            store.note_commit(connection, LakeCommit(ahead, stream), self._clock.now_us())

    def begin(self, streams: Iterable[str]) -> list[LakeCommit]:
        """Step 1, for many streams in one transaction: a pending commit of what waits; none of a stream without."""
        now_us = self._clock.now_us()
        most = {"max_records": self._settings.max_commit_records, "max_bytes": self._settings.max_commit_bytes}
        with writing(self._engine) as connection:
            opened = [store.open_commit(connection, stream, **most, now_us=now_us) for stream in streams]
        return [commit for commit in opened if commit is not None]

    def append(self, commit: LakeCommit) -> None:
        """Step 2, if it is not done yet."""
        table = self._table(commit.stream)
        if table is not None and table.last_commit >= commit.id:
            return
        rows = self._load(commit)
        if rows is None:
            return
        if table is None:
            table = self._tables.create(commit.stream, commit.id, rows)
        else:
            table.append(commit.id, rows)
        self._keep(commit.stream, table)

    def _table(self, stream: str) -> StreamTable | None:
        """The stream's table as it is now. Opening one costs half as much as appending to it."""
        kept = self._kept.pop(stream, None)
        return kept if kept is not None and kept.is_newest() else self._tables.open(stream)

    def _keep(self, stream: str, table: StreamTable) -> None:
        """For the next commit; a table whose append failed is not kept."""
        self._kept[stream] = table
        if len(self._kept) > KEPT_TABLES:
            self._kept.popitem(last=False)

    def finish(self, commits: Sequence[LakeCommit]) -> None:
        """Step 3, for many commits in one transaction."""
        if not commits:
            return
        counted = {batch: hours for commit in commits for batch, hours in self._counted(commit).items()}
        with writing(self._engine) as connection:
            store.finish_commits(connection, [commit.id for commit in commits])
            count_stored(connection, counted, self._clock.now_us())

    def _counted(self, commit: LakeCommit) -> dict[int, Hours]:
        """The hours of batches whose agents did not tell them, being older, and of those that were taken in part."""
        with reading(self._engine) as connection:
            batches = store.uncounted(connection, commit.id)
        if not batches:
            return {}
        names = self._loader.names(commit.stream)
        found: dict[int, Hours] = {}
        for batch in batches:
            with suppress(BadBatch):
                found[batch.id] = hours_of(self._loader.rows(batch, names).column(TIME))
        return found

    def _load(self, commit: LakeCommit) -> pa.Table | None:
        with reading(self._engine) as connection:
            batches = store.batches_of(connection, commit.id)
        names = self._loader.names(commit.stream)
        parts = {batch.id: rows for batch in batches if (rows := self._rows(batch, names)) is not None}
        digests = {batch: digest_of(rows) for batch, rows in parts.items()}
        with writing(self._engine) as connection:
            store.add_columns(connection, commit.stream, names.added)
            store.note_digests(connection, digests)
        return joined(list(parts.values())) if parts else None

    def _rows(self, batch: LakeBatch, names: ColumnMap) -> pa.Table | None:
        try:
            return self._loader.rows(batch, names)
        except BadBatch as bad:
            with writing(self._engine) as connection:
                if want_again(connection, batch.id, self._clock.now_us()):
                    _log.error("batch %d of %s is damaged; its records are wanted again", batch.id, batch.site)
                else:
                    store.quarantine(connection, batch.id, str(bad))
            return None
