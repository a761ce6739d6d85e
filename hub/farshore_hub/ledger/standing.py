"""How whole sites stand: the streams of each in one line, and the lines that somebody asks for, worst first. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from farshore_hub.ledger.completeness import State, StreamCompleteness


class Standing(enum.StrEnum):
    """What can be said of a site: the worst of what can be said of its streams. The worst comes first."""

    GAP = "gap"
    """Some of what it produced is nowhere."""
    UNKNOWN = "unknown"
    """It has been silent for too long, or is revoked."""
    PENDING = "pending"
    """Some of it is still at the edge."""
    NEW = "new"
    """It was added, and the hub has not heard of it yet."""
    COMPLETE = "complete"
    """Everything that it has stated is stored, shed or quarantined."""


class Order(enum.StrEnum):
    """In which order sites are shown."""

    WORST = "worst"
    """By standing, then by how much is missing, then by how much is at the edge."""
    NAME = "name"
    HEARD = "heard"
    """The one that was heard longest ago first."""


_RANK: Final = {standing: rank for rank, standing in enumerate(Standing)}
_OF_STREAM: Final = {State.GAP: Standing.GAP, State.UNKNOWN: Standing.UNKNOWN, State.PENDING: Standing.PENDING}


@dataclass(frozen=True, slots=True)
class SettledSum:
    """All accounts of a site in which every record is stored or receipted, added up.

    Attributes:
        streams: how many the site has, those with other accounts too.
        stored: without what was refused at the streams' doors.
        quarantined: what was.
    """

    site: str
    streams: int
    stored: int
    quarantined: int
    receipted: int


@dataclass(slots=True)
class SiteLine:
    """One site: `produced = stored + pending + shed + quarantined + gap`, over all its streams or the one asked for.

    Attributes:
        streams: how many there are.
        oldest_pending_us: event time of the oldest record that is still at the edge.
        heard_us: when the hub last heard of the site.
        is_silent: for longer than allowed, whatever else can be said of it.
    """

    name: str
    heard_us: int | None = None
    is_silent: bool = False
    is_revoked: bool = False
    standing: Standing = Standing.NEW
    streams: int = 0
    produced: int = 0
    stored: int = 0
    pending: int = 0
    shed: int = 0
    quarantined: int = 0
    gap: int = 0
    oldest_pending_us: int | None = None

    def add(self, stream: StreamCompleteness) -> None:
        """Add a stream of this site."""
        if not self.streams:
            self.standing = Standing.COMPLETE
        self.streams += 1
        self.add_unsettled(stream)

    def add_settled(self, settled: SettledSum) -> None:
        """Add what is settled of all its streams, before anything else."""
        self.standing = Standing.UNKNOWN if self.is_silent else Standing.COMPLETE
        self.streams = settled.streams
        self.produced = settled.stored + settled.quarantined + settled.receipted
        self.stored, self.quarantined, self.shed = settled.stored, settled.quarantined, settled.receipted

    def add_unsettled(self, stream: StreamCompleteness) -> None:
        """Add what is not settled of a stream that was counted."""
        said = _OF_STREAM.get(stream.state, Standing.COMPLETE)
        self.standing = min(self.standing, said, key=_RANK.__getitem__)
        self.produced += stream.produced
        self.stored += stream.stored
        self.pending += stream.pending
        self.shed += stream.shed
        self.quarantined += stream.quarantined
        self.gap += stream.gap
        if stream.oldest_pending_us is not None:
            oldest = self.oldest_pending_us
            self.oldest_pending_us = (
                stream.oldest_pending_us if oldest is None else min(oldest, stream.oldest_pending_us)
            )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which sites somebody wants to see.

    Attributes:
        search: a part of the name.
        standing: only those that stand so.
        silent: only those that are silent.
        order: in which order.
    """

    search: str = ""
    standing: Standing | None = None
    silent: bool = False
    order: Order = Order.WORST


@dataclass(frozen=True, slots=True)
class Summary:
    """How many sites there are, stand so, and are silent."""

    sites: int = 0
    silent: int = 0
    by_standing: Counter[Standing] = field(default_factory=Counter)


def summary(lines: Sequence[SiteLine]) -> Summary:
    """Count sites by how they stand."""
    return Summary(len(lines), sum(line.is_silent for line in lines), Counter(line.standing for line in lines))


def chosen(lines: Iterable[SiteLine], choice: Choice) -> list[SiteLine]:
    """The lines that were asked for, in the order that was asked for."""
    search = choice.search.casefold()
    found = [
        line
        for line in lines
        if search in line.name.casefold()
        and choice.standing in {None, line.standing}
        and (line.is_silent or not choice.silent)
    ]
    if choice.order is Order.NAME:
        return sorted(found, key=lambda line: line.name)
    if choice.order is Order.HEARD:
        return sorted(found, key=lambda line: (line.heard_us or 0, line.name))
    return sorted(found, key=lambda line: (_RANK[line.standing], -line.gap, -line.pending, line.name))
