"""When the tail of a stream becomes a batch, and why. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from farshore_agent.settings import EffortChoice, SealSettings
from farshore_protocol.columns import Effort

BACKLOG_BATCHES: Final = 4
"""A tail of more batches than this grows quicker than it is sealed."""

PRESSED_SHARE: Final = 0.8
"""From this share of the bound on, everything is sealed: batches are much smaller than their chunks."""


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


@dataclass(frozen=True, slots=True)
class Due:
    """A tail to seal now. When it is due by count or bytes, only what fills batches is sealed."""

    tail: Tail
    why: Why


def due(tails: Iterable[Tail], now: Circumstances, settings: SealSettings) -> list[Due]:
    """What to seal, most urgent stream first, with reasons."""
    found = (_judged(tail, now, settings) for tail in tails if tail.records)
    return sorted((each for each in found if each), key=lambda each: (-each.tail.priority, each.tail.since_us))


def _judged(tail: Tail, now: Circumstances, settings: SealSettings) -> Due | None:
    linger_s = settings.linger_s if now.link_up else settings.linger_offline_s
    age_us = now.now_us - tail.since_us
    reasons = (
        (Why.CLOSED, tail.closed),
        (Why.FLUSH, now.flush),
        # An age below zero is a clock that was set back; waiting for it to come round again could take years.
        (Why.AGE, age_us >= linger_s * 1_000_000 or age_us < 0),
        (Why.ROOM, now.used_share >= PRESSED_SHARE),
        (Why.COUNT, tail.records >= settings.max_records),
        (Why.BYTES, tail.bytes >= settings.max_bytes),
    )
    return next((Due(tail, why) for why, holds in reasons if holds), None)


def rest_of(due: Due, records: int, size: int, settings: SealSettings) -> Due | None:
    """What is still due after a batch of `records` was sealed; what was appended meanwhile is another matter."""
    left = replace(due.tail, records=due.tail.records - records, bytes=due.tail.bytes - size)
    is_full = left.records >= settings.max_records or left.bytes >= settings.max_bytes
    is_whole = due.why not in (Why.COUNT, Why.BYTES)
    return Due(left, due.why) if left.records > 0 and records > 0 and (is_full or is_whole) else None


def effort_for(choice: EffortChoice, tail: Tail, settings: SealSettings, *, link_up: bool) -> Effort:
    """How much time to spend on a batch of this tail."""
    if choice is not EffortChoice.AUTO:
        return Effort(choice.value)
    if tail.records > BACKLOG_BATCHES * settings.max_records or tail.bytes > BACKLOG_BATCHES * settings.max_bytes:
        return Effort.FAST
    return Effort.BALANCED if link_up else Effort.SMALL
