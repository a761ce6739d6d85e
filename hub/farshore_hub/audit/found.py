"""Losses and forks as people and scripts are shown them: the same JSON from the API and from the commands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from pydantic import BaseModel, Field
from sqlalchemy import Engine

from farshore_hub.errors import Unknown
from farshore_hub.lake import ndjson
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.ports import Opener
from farshore_hub.lake.rows import only, to_table
from farshore_hub.ledger.losses import LossCause, LossState, losses
from farshore_hub.store import forks as fork_store
from farshore_hub.store.engine import reading
from farshore_hub.store.forks import Fork
from farshore_hub.store.losses import incomplete_accounts
from farshore_hub.texts.shown import TimeUs

MAX_LOSSES: Final = 10_000
MAX_FORKS: Final = 10_000


class LossView(BaseModel):
    """Records that were produced and are not stored."""

    site: str
    stream: str
    incarnation: str
    first: int
    last: int
    records: int
    cause: LossCause
    state: LossState = Field(description="lost; wanted: the site is asked for them; missing: nobody knows")
    since_us: TimeUs
    detail: str


class LossesView(BaseModel):
    """Losses by site, stream, incarnation and sequence."""

    losses: list[LossView]
    is_whole: bool = Field(description="whether these are all of them")


class InItsPlaceView(BaseModel):
    """A batch that is stored where a fork claims to belong."""

    first: int
    last: int
    digest: str
    received_us: TimeUs


class ForkView(BaseModel):
    """A batch whose sequences were stored already with other content; kept aside."""

    id: int
    site: str
    stream: str
    incarnation: str
    first: int
    last: int
    aside: list[tuple[int, int]] = Field(description="its sequences that are stored with other content")
    digest: str
    received_us: TimeUs
    size: int = Field(description="sealed bytes")
    in_its_place: list[InItsPlaceView] = Field(default=[], description="told of a single fork only")


def find_losses(
    engine: Engine,
    site: str | None = None,
    stream: str | None = None,
    cause: LossCause | None = None,
    limit: int = MAX_LOSSES,
) -> LossesView:
    """What is not stored and not on its way, at most `limit` of it."""
    with reading(engine) as connection:
        found = (
            LossView(
                site=each.site,
                stream=each.stream,
                incarnation=each.incarnation.hex(),
                first=loss.first,
                last=loss.last,
                records=loss.last - loss.first + 1,
                cause=loss.cause,
                state=loss.state,
                since_us=loss.since_us,
                detail=loss.detail,
            )
            for each in incomplete_accounts(connection, site, stream)
            for loss in losses(each.account, each.receipts, each.damages)
            if cause in (None, loss.cause)
        )
        shown = list(islice(found, limit + 1))
    return LossesView(losses=shown[:limit], is_whole=len(shown) <= limit)


def list_forks(engine: Engine, site: str | None = None, stream: str | None = None) -> list[ForkView]:
    """What is kept aside, oldest first; the first `MAX_FORKS`."""
    with reading(engine) as connection:
        return [_view(fork) for fork in fork_store.list_forks(connection, site, stream, MAX_FORKS)]


def show_fork(engine: Engine, fork: int) -> ForkView:
    """One fork, with what is stored in its place.

    Raises:
        Unknown: there is none of that number.
    """
    with reading(engine) as connection:
        found = fork_store.find_fork(connection, fork)
        if found is None:
            raise _unknown(fork)
        others = fork_store.in_its_place(connection, found)
    stored = [
        InItsPlaceView(first=each.first, last=each.last, digest=each.digest.hex(), received_us=each.received_us)
        for each in others
    ]
    return _view(found).model_copy(update={"in_its_place": stored})


def export_fork(engine: Engine, opener: Opener, fork: int) -> Iterator[bytes]:
    """The records of a fork that are kept aside, a line of JSON each, as the site sent them.

    Raises:
        Unknown: there is none of that number.
        ProtocolError: it cannot be opened.
    """
    with reading(engine) as connection:
        found = fork_store.find_fork(connection, fork)
        if found is None:
            raise _unknown(fork)
        raw = fork_store.sealed_fork(connection, fork)
    columns = opener.columns(found.site, raw)
    rows = to_table(columns, ColumnMap(), site=found.site, incarnation=found.incarnation, first=found.first)
    for part in only(rows, found.first, found.aside).to_batches():
        yield ndjson.lines(part)


def _unknown(fork: int) -> Unknown:
    return Unknown(f"there is no fork {fork}", remedy="farshore-hub forks list")


def _view(fork: Fork) -> ForkView:
    return ForkView(
        id=fork.id,
        site=fork.site,
        stream=fork.stream,
        incarnation=fork.incarnation.hex(),
        first=fork.first,
        last=fork.last,
        aside=list(fork.aside.ranges),
        digest=fork.digest.hex(),
        received_us=fork.received_us,
        size=fork.size,
    )
