"""When the tail of a stream becomes a batch, and why. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from farshore_agent.settings import EffortChoice, SealSettings
from farshore_protocol.columns import Effort

BACKLOG_BATCHES: Final = 4
"""A tail of more batches than this is sealed quickly, where somebody waits for it."""

PRESSED_SHARE: Final = 0.8
"""From this share of the bound on, everything is sealed: batches are much smaller than their chunks."""

TOGETHER: Final = 16
"""So many small batches are stored in one transaction; appends wait for it."""

COMPANY_SHARE: Final = 1 / 2
"""A tail that has waited for this share of the linger goes along with one whose time has come."""

LEISURE_SHARE: Final = 1 / 8
"""While producers hand over without a pause, sealing waits for leisure until the tails take this share of the bound."""


AT_ONCE_SHARE: Final = 1 / 4
"""What one commit adds to a stream is worth a batch of its own from this share of a full one on."""


class Why(enum.StrEnum):
    """Why a tail is sealed."""

    CLOSED = "closed"
    """An earlier life left it."""
    COUNT = "count"
    BYTES = "bytes"
    AGE = "age"
    ROOM = "room"
    """The buffer is nearly full."""
    FLUSH = "flush"
    """Somebody asked for it."""
    COMPANY = "company"
    """Another one is due by age: together they cost one exchange instead of two."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What of a stream is not sealed; `since_us` is when its first record was appended."""

    stream_id: int
    stream: str
    records: int
    bytes: int
    since_us: int
    priority: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What matters besides the tails."""

    now_us: int
    link_up: bool
    flush: bool
    used_share: float
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Due:
    """A tail to seal now. When it is due by count or bytes, only what fills batches is sealed.

    Attributes:
        pressed: the tails have outgrown their share: they grow quicker than they are sealed.
    """

    tail: Tail
    why: Why
    pressed: bool = False

    @property
    def may_wait(self) -> bool:
        """Whether appends go first, because nothing but the size of a batch asks for sealing."""
        return self.why in (Why.COUNT, Why.BYTES) and not self.pressed


def due(tails: Iterable[Tail], now: Circumstances, settings: SealSettings) -> list[Due]:
    """What to seal, most urgent stream first, with reasons."""
    waiting = [tail for tail in tails if tail.records]
    pressed = sum(tail.bytes for tail in waiting) > LEISURE_SHARE * now.max_bytes
    found = [each for tail in waiting if (each := _judged(tail, now, settings, pressed=pressed))]
    if any(each.why is Why.AGE for each in found):
        chosen = {each.tail.stream_id for each in found}
        others = (tail for tail in waiting if tail.stream_id not in chosen)
        # From then on they keep step.
        found += [Due(tail, Why.COMPANY, pressed) for tail in others if _waited(tail, now, settings) >= COMPANY_SHARE]
    return sorted(found, key=lambda each: (-each.tail.priority, each.tail.since_us))


def _waited(tail: Tail, now: Circumstances, settings: SealSettings) -> float:
    """How long it has waited, as a share of the linger. Infinite where a clock was set back: it could take years."""
    linger_us = 1_000_000 * (settings.linger_s if now.link_up else settings.linger_offline_s)
    age_us = now.now_us - tail.since_us
    return age_us / linger_us if age_us >= 0 and linger_us else math.inf


def _judged(tail: Tail, now: Circumstances, settings: SealSettings, *, pressed: bool) -> Due | None:
    reasons = (
        (Why.CLOSED, tail.closed),
        (Why.FLUSH, now.flush),
        (Why.AGE, _waited(tail, now, settings) >= 1),
        (Why.ROOM, now.used_share >= PRESSED_SHARE),
        (Why.COUNT, tail.records >= settings.max_records),
        (Why.BYTES, tail.bytes >= settings.max_bytes),
    )
    return next((Due(tail, why, pressed) for why, holds in reasons if holds), None)


def together(dues: Sequence[Due], settings: SealSettings) -> Sequence[Due]:
    """The first of them, whose fronts are sealed in one go: about as much as one full batch, and at least one."""
    records = size = 0
    for place, each in enumerate(dues):
        records += min(each.tail.records, settings.max_records)
        size += min(each.tail.bytes, settings.max_bytes)
        if place and (records > settings.max_records or size > settings.max_bytes or place == TOGETHER):
            return dues[:place]
    return dues


def rest_of(due: Due, records: int, size: int, settings: SealSettings) -> Due | None:
    """What is still due after a batch of `records` was sealed; what was appended meanwhile is another matter."""
    left = replace(due.tail, records=due.tail.records - records, bytes=due.tail.bytes - size)
    is_full = left.records >= settings.max_records or left.bytes >= settings.max_bytes
    is_whole = due.why not in (Why.COUNT, Why.BYTES)
    return replace(due, tail=left) if left.records > 0 and records > 0 and (is_full or is_whole) else None


def is_sealed_at_once(records: int, choice: EffortChoice, settings: SealSettings) -> bool:
    """Whether records that come in one commit are sealed before they are stored, and never join the tail.

    Their producers wait for it: so only where haste was asked for. The tail before them is sealed when its time comes.
    """
    return choice is EffortChoice.FAST and records >= AT_ONCE_SHARE * settings.max_records


def effort_for(choice: EffortChoice, due: Due, settings: SealSettings, *, link_up: bool, busy: bool) -> Effort:
    """How much time to spend on a batch; `busy` while producers hand over without a pause.

    Whatever is chosen, tails must not grow for ever.
    """
    if due.pressed:
        return Effort.FAST
    if choice is not EffortChoice.AUTO:
        return Effort(choice.value)
    tail = due.tail
    is_long = tail.records > BACKLOG_BATCHES * settings.max_records or tail.bytes > BACKLOG_BATCHES * settings.max_bytes
    if is_long and (busy or link_up):
        return Effort.FAST
    return Effort.BALANCED if link_up else Effort.SMALL
