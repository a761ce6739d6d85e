"""Forks: batches whose sequences were stored already with other content.

Each function runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from farshore_hub.store.inbox import NOTHING_TAKEN
from farshore_hub.store.ranges import unpack_ranges
from farshore_hub.store.schema import accounts, batches, forks, sites
from farshore_protocol.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Fork:
    """A batch that is kept aside.

    Attributes:
        aside: its sequences that are stored with other content; the others were taken from it.
    """

    id: int
    site: str
    incarnation: bytes
    stream: str
    first: int
    last: int
    aside: RangeSet
    digest: bytes
    received_us: int
    size: int


@dataclass(frozen=True, slots=True)
class InItsPlace:
    """A batch that is stored for some of a fork's sequences."""

    first: int
    last: int
    digest: bytes
    received_us: int


_OWNED = forks.join(accounts, accounts.c.id == forks.c.account_id).join(sites, sites.c.id == accounts.c.site_id)


def list_forks(
    connection: Connection, site: str | None = None, stream: str | None = None, limit: int = -1
) -> list[Fork]:
    """The forks there are, oldest first."""
    asked: list[ColumnElement[bool]] = [] if site is None else [sites.c.name == site]
    if stream is not None:
        asked.append(accounts.c.stream == stream)
    query = _forks().where(*asked).order_by(forks.c.id)
    return [_fork(connection, row) for row in connection.execute(query if limit < 0 else query.limit(limit))]


def find_fork(connection: Connection, fork: int) -> Fork | None:
    """One of them."""
    row = connection.execute(_forks().where(forks.c.id == fork)).one_or_none()
    return None if row is None else _fork(connection, row)


def sealed_fork(connection: Connection, fork: int) -> bytes:
    """Its sealed bytes."""
    return bytes(connection.execute(select(forks.c.raw).where(forks.c.id == fork)).scalar_one())


def in_its_place(connection: Connection, fork: Fork) -> list[InItsPlace]:
    """The batches that have its sequences."""
    b = batches.c
    query = select(b.first, b.count, b.digest, b.received_us).join_from(
        batches, accounts, accounts.c.id == b.account_id
    )
    query = query.join(sites, sites.c.id == accounts.c.site_id).where(
        sites.c.name == fork.site,
        accounts.c.stream == fork.stream,
        accounts.c.incarnation == fork.incarnation,
        b.first <= fork.last,
        b.first + b.count > fork.first,
        b.digest != fork.digest,
    )
    rows = connection.execute(query.order_by(b.first))
    return [InItsPlace(first, first + count - 1, bytes(digest), at_us) for first, count, digest, at_us in rows]


def count_forked(connection: Connection) -> dict[tuple[str, str], int]:
    """How many records are kept aside, by site and stream."""
    query = select(sites.c.name, accounts.c.stream, func.sum(forks.c.count)).select_from(_OWNED)
    rows = connection.execute(query.group_by(sites.c.name, accounts.c.stream))
    return {(site, stream): int(count) for site, stream, count in rows}


def _forks() -> Any:  # noqa: ANN401 - a SELECT of these columns
    own = (forks.c.id, sites.c.name, accounts.c.incarnation, accounts.c.stream, forks.c.account_id)
    rest = (forks.c.first, forks.c.count, forks.c.digest, forks.c.received_us, func.length(forks.c.raw).label("size"))
    return select(*own, *rest).select_from(_OWNED)


def _fork(connection: Connection, row: Any) -> Fork:  # noqa: ANN401 - a row of that query
    last = row.first + row.count - 1
    whole, digest = RangeSet(((row.first, last),)), bytes(row.digest)
    same = (batches.c.account_id == row.account_id, batches.c.first == row.first, batches.c.digest == digest)
    taken: Sequence[bytes | None] = connection.scalars(select(batches.c.take).where(*same)).all()
    for take in taken:
        if take is not None and bytes(take) != NOTHING_TAKEN:
            whole = whole - unpack_ranges(bytes(take))
    owner = (row.id, row.name, bytes(row.incarnation), row.stream)
    return Fork(*owner, row.first, last, whole, digest, row.received_us, row.size)
