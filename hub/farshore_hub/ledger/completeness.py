"""Completeness: the accounts of a stream added up over its incarnations, with what was quarantined at its door.

Per site and stream `produced = stored + pending + shed + quarantined + gap`. A site that has been silent for too long
is *unknown*, never *complete*: what it has produced since, nobody can know.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from farshore_hub.ledger.account import Balance
from farshore_protocol.names import QUARANTINE, base_of, companion_of


class State(enum.StrEnum):
    """What can be said of a stream."""

    COMPLETE = "complete"
    """Everything that the site has stated is stored, shed or quarantined."""
    PENDING = "pending"
    """Some of it is still at the edge."""
    GAP = "gap"
    """Some of it is nowhere."""
    UNKNOWN = "unknown"
    """The site has been silent for too long, or is revoked."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Sequences that are nowhere."""

    incarnation: bytes
    stream: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AccountRow:
    """Where a stream of a site stands: in one incarnation, or in several in which nothing is pending or missing.

    Attributes:
        heard_us: when the hub last heard of the site.
        incarnation, oldest_us: in which it is, and the event time of the oldest record that is still at the edge.
    """

    site: str
    stream: str
    stands: Balance
    heard_us: int | None
    revoked: bool
    incarnation: bytes = b""
    oldest_us: int | None = None


@dataclass(slots=True)
class StreamCompleteness:
    """One stream of one site, over all incarnations.

    Attributes:
        oldest_pending_us: event time of the oldest record that is still at the edge.
        heard_us: when the hub last heard of the site.
        forked: records that are kept aside, because others have their sequences. They are beside the balance.
    """

    site: str
    stream: str
    stored: int = 0
    pending: int = 0
    shed: int = 0
    quarantined: int = 0
    gaps: list[Gap] = field(default_factory=list)
    oldest_pending_us: int | None = None
    heard_us: int | None = None
    silent: bool = False
    forked: int = 0

    @property
    def gap(self) -> int:
        """How many records are nowhere."""
        return sum(each.last - each.first + 1 for each in self.gaps)

    @property
    def produced(self) -> int:
        """Everything that the site gave a sequence to, quarantined records included."""
        return self.stored + self.pending + self.shed + self.quarantined + self.gap

    @property
    def state(self) -> State:
        """What can be said of the stream. A gap is named even when the site is silent."""
        if self.gaps:
            return State.GAP
        if self.silent:
            return State.UNKNOWN
        return State.PENDING if self.pending else State.COMPLETE


def completeness(rows: Iterable[AccountRow], *, now_us: int, silent_after_us: int) -> list[StreamCompleteness]:
    """Add up accounts, a line per site and stream, in this order."""
    lines: dict[tuple[str, str], StreamCompleteness] = {}
    for row in rows:
        stream = base_of(row.stream) if row.stream == companion_of(base_of(row.stream), QUARANTINE) else row.stream
        line = lines.setdefault((row.site, stream), StreamCompleteness(row.site, stream))
        _add(line, row)
        line.heard_us = row.heard_us
        line.silent = row.revoked or row.heard_us is None or now_us - row.heard_us > silent_after_us
    return [lines[key] for key in sorted(lines)]


def _add(line: StreamCompleteness, row: AccountRow) -> None:
    of = row.stands
    if row.stream == line.stream:
        line.stored += of.stored
    else:
        line.quarantined += of.stored
    line.pending += of.pending
    line.shed += of.receipted
    line.gaps += [Gap(row.incarnation, row.stream, first, last) for first, last in of.gaps]
    if of.pending and row.oldest_us is not None:
        oldest = line.oldest_pending_us
        line.oldest_pending_us = row.oldest_us if oldest is None else min(oldest, row.oldest_us)
