"""What the lake asks of the store: batches that wait, the lake commits they are in, and the columns of each stream.

A batch belongs to at most one lake commit. A commit is *pending* until its rows are in the stream's table, then *done*,
and *forgotten* when the sealed batches in it were given up. Within a stream the commits' numbers only rise; only the
holder of the lake's lease makes them. Each function runs in the caller's transaction.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, or_, select, update

from farshore_hub.store.dialect import upsert
from farshore_hub.store.inbox import NOTHING_TAKEN
from farshore_hub.store.schema import accounts, batches, lake_columns, lake_commits, row_digests, sites

MAX_COMMIT_BATCHES: Final = 10_000


class CommitState(enum.StrEnum):
    """How far a lake commit is."""

    PENDING = "pending"
    DONE = "done"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class LakeCommit:
    """A row of `lake_commits`: some batches of one stream that go into its table together."""

    id: int
    stream: str


@dataclass(frozen=True, slots=True)
class LakeBatch:
    """A batch as the lake sees it.

    Attributes:
        take: the packed sequences to write, None for all of them.
        raw: the sealed batch, None if it was forgotten.
    """

    id: int
    site: str
    incarnation: bytes
    first: int
    count: int
    take: bytes | None
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class WaitingStream:
    """A stream with batches that are in no lake commit yet."""

    stream: str
    records: int
    oldest_us: int


@dataclass(frozen=True, slots=True)
class Lag:
    """What is stored and not in the lake yet. `oldest_us` is when the oldest of it arrived, None when there is none."""

    batches: int
    records: int
    oldest_us: int | None
    quarantined: int


_OF_ACCOUNT: Final = batches.c.account_id == accounts.c.id
_WAITS: Final = and_(batches.c.lake_commit.is_(None), batches.c.quarantined.is_(None))
_UNREADABLE: Final = and_(
    batches.c.quarantined.is_not(None), or_(batches.c.take.is_(None), batches.c.take != NOTHING_TAKEN)
)
"""Set aside for what is in them. Nothing is taken any more from those whose bytes are damaged."""

_OLDEST: Final = func.min(batches.c.received_us)


def streams(connection: Connection) -> list[str]:
    """The names of all streams that the hub has an account of."""
    return list(connection.scalars(select(accounts.c.stream).distinct().order_by(accounts.c.stream)))


def waiting_streams(connection: Connection) -> list[WaitingStream]:
    """The streams with batches that are in no commit, the one that waits longest first."""
    query = select(accounts.c.stream, func.sum(batches.c.count), _OLDEST)
    query = query.join_from(batches, accounts, _OF_ACCOUNT).where(_WAITS).group_by(accounts.c.stream).order_by(_OLDEST)
    return [WaitingStream(stream, int(records), oldest_us) for stream, records, oldest_us in connection.execute(query)]


def pending_commits(connection: Connection) -> list[LakeCommit]:
    """The commits that may or may not be in the tables, oldest first."""
    query = select(lake_commits.c.id, lake_commits.c.stream).where(lake_commits.c.state == CommitState.PENDING)
    return [LakeCommit(*row) for row in connection.execute(query.order_by(lake_commits.c.id))]


def streams_in_lake(connection: Connection) -> list[str]:
    """The streams of which something was written into the lake."""
    query = select(accounts.c.stream).distinct().join_from(batches, accounts, _OF_ACCOUNT)
    done = lake_commits.c.state != CommitState.PENDING
    joined = query.join(lake_commits, lake_commits.c.id == batches.c.lake_commit)
    return list(connection.scalars(joined.where(done).order_by(accounts.c.stream)))


def release_lost_table(connection: Connection, stream: str) -> list[int]:
    """Let what was in a table that is gone wait for the next commit; returns the batches whose bytes were given up."""
    own = batches.c.account_id.in_(select(accounts.c.id).where(accounts.c.stream == stream))
    done = batches.c.lake_commit.in_(select(lake_commits.c.id).where(lake_commits.c.state != CommitState.PENDING))
    connection.execute(update(batches).where(own, done, batches.c.raw.is_not(None)).values(lake_commit=None))
    return list(connection.scalars(select(batches.c.id).where(own, done, batches.c.quarantined.is_(None))))


def last_commit(connection: Connection, stream: str) -> int:
    """The highest number of a stream's commits; 0 before the first."""
    return connection.scalar(select(func.max(lake_commits.c.id)).where(lake_commits.c.stream == stream)) or 0


def open_commit(
    connection: Connection, stream: str, *, max_records: int, max_bytes: int, now_us: int
) -> LakeCommit | None:
    """Make a pending commit of the oldest batches that wait; at least one, if any does."""
    last_batch = _fitting(connection, stream, max_records, max_bytes)
    if last_batch is None:
        return None
    commit = LakeCommit((connection.scalar(select(func.max(lake_commits.c.id))) or 0) + 1, stream)
    _add_commit(connection, commit, CommitState.PENDING, now_us)
    own = batches.c.account_id.in_(select(accounts.c.id).where(accounts.c.stream == commit.stream))
    connection.execute(update(batches).where(_WAITS, own, batches.c.id <= last_batch).values(lake_commit=commit.id))
    return commit


def _fitting(connection: Connection, stream: str, max_records: int, max_bytes: int) -> int | None:
    """The last of the waiting batches, oldest first, that fit together."""
    query = select(batches.c.id, batches.c.count, func.length(batches.c.raw)).join(accounts, _OF_ACCOUNT)
    query = query.where(_WAITS, accounts.c.stream == stream).order_by(batches.c.id).limit(MAX_COMMIT_BATCHES)
    last, records, size = None, 0, 0
    for batch, count, length in connection.execute(query):
        records, size = records + count, size + length
        if last is not None and (records > max_records or size > max_bytes):
            break
        last = batch
    return last


def note_commit(connection: Connection, commit: LakeCommit, now_us: int) -> None:
    """Note a commit without batches: its number must not be used again."""
    _add_commit(connection, commit, CommitState.FORGOTTEN, now_us)


def _add_commit(connection: Connection, commit: LakeCommit, state: CommitState, now_us: int) -> None:
    row = {"id": commit.id, "stream": commit.stream, "state": state, "created_us": now_us}
    connection.execute(insert(lake_commits).values(row))


def finish_commits(connection: Connection, commits: Sequence[int]) -> None:
    """Note that the rows of these commits are in their tables."""
    connection.execute(update(lake_commits).where(lake_commits.c.id.in_(commits)).values(state=CommitState.DONE))


def uncounted(connection: Connection, commit: int) -> list[LakeBatch]:
    """The batches of a commit whose hours nobody has told."""
    return _batches(connection, _select_batches().where(batches.c.lake_commit == commit, batches.c.hours.is_(None)))


def batches_of(connection: Connection, commit: int) -> list[LakeBatch]:
    """The batches of a commit, oldest first."""
    return _batches(connection, _select_batches().where(batches.c.lake_commit == commit))


def batches_by_id(connection: Connection, ids: Iterable[int]) -> list[LakeBatch]:
    """These batches, oldest first."""
    return _batches(connection, _select_batches().where(batches.c.id.in_(list(ids))))


def sizes_after(connection: Connection, stream: str, commit: int) -> dict[int, int]:
    """The batches of a stream that are in no commit up to that one, done or not: what a table of that age lacks.

    Returns:
        How large each of them is sealed, by its id, oldest first.
    """
    query = select(batches.c.id, func.length(batches.c.raw)).join_from(batches, accounts, _OF_ACCOUNT)
    found = query.where(_lacking(stream, commit), batches.c.raw.is_not(None)).order_by(batches.c.id)
    return {batch: size for batch, size in connection.execute(found)}  # noqa: C416 - a row is no pair for mypy


def quarantine(connection: Connection, batch: int, reason: str) -> None:
    """Take a batch that cannot be read out of its commit, so that the others go on."""
    connection.execute(update(batches).where(batches.c.id == batch).values(quarantined=reason, lake_commit=None))


def release_quarantined(connection: Connection) -> int:
    """Let the batches that could not be read wait for the next commit again, but for damaged ones; returns how many."""
    found = update(batches).where(_UNREADABLE).values(quarantined=None)
    return connection.execute(found).rowcount


def note_digests(connection: Connection, digests: Mapping[int, bytes]) -> None:
    """Keep what the rows of batches are in the lake, before they are written there."""
    upsert(
        connection, row_digests, [{"batch_id": each, "digest": digest} for each, digest in digests.items()], ["digest"]
    )


def columns_of(connection: Connection, stream: str) -> list[tuple[str, str, str]]:
    """Field, type and column of each column of a stream's table, in no order."""
    table = lake_columns.c
    query = select(table.field, table.type, table.column).where(table.stream == stream).order_by(table.column)
    return [(field, kind, column) for field, kind, column in connection.execute(query)]


def add_columns(connection: Connection, stream: str, columns: Iterable[tuple[str, str, str]]) -> None:
    """Keep new columns of a stream's table."""
    rows = [{"stream": stream, "field": field, "type": kind, "column": column} for field, kind, column in columns]
    if rows:
        connection.execute(insert(lake_columns), rows)


def lag(connection: Connection) -> Lag:
    """How far the lake is behind the store."""
    pending = select(lake_commits.c.id).where(lake_commits.c.state == CommitState.PENDING)
    query = select(func.count(), func.coalesce(func.sum(batches.c.count), 0), _OLDEST).select_from(batches)
    count, records, oldest_us = connection.execute(query.where(or_(_WAITS, batches.c.lake_commit.in_(pending)))).one()
    quarantined = connection.scalar(select(func.count()).select_from(batches).where(_UNREADABLE))
    return Lag(count, int(records), oldest_us, quarantined or 0)


def forget_payloads(connection: Connection, *, done_before_us: int, max_commits: int) -> int:
    """Give up the sealed batches of old commits that are done; returns how many commits that were."""
    state, created_us = lake_commits.c.state, lake_commits.c.created_us
    old = select(lake_commits.c.id).where(state == CommitState.DONE, created_us < done_before_us)
    ids = list(connection.scalars(old.order_by(lake_commits.c.id).limit(max_commits)))
    if ids:
        connection.execute(update(batches).where(batches.c.lake_commit.in_(ids)).values(raw=None))
        connection.execute(update(lake_commits).where(lake_commits.c.id.in_(ids)).values(state=CommitState.FORGOTTEN))
    return len(ids)


def _select_batches() -> Select[int, str, bytes, int, int, bytes | None, bytes | None]:
    batch = batches.c
    own = (batch.id, sites.c.name, accounts.c.incarnation, batch.first, batch.count, batch.take, batch.raw)
    return select(*own).join_from(batches, accounts, _OF_ACCOUNT).join(sites, accounts.c.site_id == sites.c.id)


def _batches(
    connection: Connection, query: Select[int, str, bytes, int, int, bytes | None, bytes | None]
) -> list[LakeBatch]:
    rows = connection.execute(query.order_by(batches.c.id))
    return [LakeBatch(id_, site, life, first, count, take, raw) for id_, site, life, first, count, take, raw in rows]


def _lacking(stream: str, commit: int) -> ColumnElement[bool]:
    later = select(lake_commits.c.id).where(lake_commits.c.stream == stream, lake_commits.c.id > commit)
    waits = or_(batches.c.lake_commit.is_(None), batches.c.lake_commit.in_(later))
    return and_(waits, batches.c.quarantined.is_(None), accounts.c.stream == stream)
