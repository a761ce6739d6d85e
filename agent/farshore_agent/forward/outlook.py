"""What the forwarder knows of its link, and how an answer or a failure changes it. Pure.

Nothing here is stored: after a start the agent learns it again, and the first statement says everything.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Final

from farshore_agent.forward import breaker
from farshore_agent.forward.breaker import Breaker, Event
from farshore_agent.forward.pace import Pace, backoff_s
from farshore_agent.forward.suspects import Suspects
from farshore_agent.settings import ForwardSettings
from farshore_protocol.urgency import FIRST_PRIORITY

WHOLE_EVERY_S: Final = 600.0
"""How often a statement names everything, although nothing asks for it."""

MAX_RETRY_AFTER_S: Final = 3_600.0
"""A hub that asks for more is asked again after this."""

_MS: Final = 1_000
_STATEMENT_PART: Final = 16


class Failed(enum.StrEnum):
    """In which way an exchange has failed."""

    DOWN = "down"
    TIMED_OUT = "timed-out"
    BUSY = "busy"
    REFUSED = "refused"
    NOT_TAKEN = "not-taken"
    """The hub fails at what this parcel carries."""
    TOO_LARGE = "too-large"
    BAD_ANSWER = "bad-answer"
    """It cannot be trusted, is not for us, or acknowledges nothing of what was sent."""
    OURS = "ours"
    """The agent itself has failed."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The state between two exchanges. Times are monotonic seconds.

    Attributes:
        failures: in a row.
        resume_s, resume_why: nothing is sent before, and why.
        resume_priority: what is more urgent than this does not wait for it.
        heartbeat_s: an exchange is due then, if there was none before.
        whole_why: why the next statement has to name everything; empty when it need not.
        whole_s: when it names everything anyway.
        ceiling_bytes: what both sides allow for a parcel.
        suspects: batches that make the hub refuse whole parcels.
    """

    ceiling_bytes: int
    breaker: Breaker = Breaker.CLOSED
    pace: Pace = field(default_factory=Pace)
    failures: int = 0
    resume_s: float = 0.0
    resume_why: str = ""
    resume_priority: int = FIRST_PRIORITY
    heartbeat_s: float = 0.0
    whole_why: str = "the agent has started"
    whole_s: float = 0.0
    suspects: Suspects = field(default_factory=Suspects)

    @property
    def limit_bytes(self) -> int:
        """The room for batches in the next parcel."""
        return self.pace.within(self.room_bytes)

    @property
    def room_bytes(self) -> int:
        """What both sides allow, less a part for the statement."""
        return self.ceiling_bytes - self.ceiling_bytes // _STATEMENT_PART

    @property
    def link_up(self) -> bool:
        """Whether the last exchange succeeded."""
        return self.failures == 0 and self.breaker is Breaker.CLOSED and not self.is_new

    @property
    def is_new(self) -> bool:
        """Whether there was no exchange yet."""
        return self.heartbeat_s == 0.0

    def sending(self) -> Outlook:
        """A parcel goes out now."""
        return replace(self, breaker=breaker.step(self.breaker, Event.SENDING))


@dataclass(frozen=True, slots=True)
class Delivery:
    """An exchange that succeeded.

    Attributes:
        sent_bytes, took_s: of the parcel.
        was_whole: its statement named everything.
        whole_why: why the next one has to; empty when it need not.
        max_parcel_bytes, pause_ms: what the hub asks for.
        batches: digests of what the parcel carried.
        behind: the priority of what the hub's pause is for.
    """

    sent_bytes: int
    took_s: float
    was_whole: bool
    whole_why: str
    max_parcel_bytes: int
    pause_ms: int
    batches: tuple[bytes, ...] = ()
    behind: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An exchange that did not.

    Attributes:
        sent_bytes: of the parcel; 0 when none was made.
        batches: digests of what the parcel carried.
        retry_after_s: what the hub asks for, if it does.
        priority: of what was put off.
    """

    kind: Failed
    why: str
    sent_bytes: int = 0
    batches: tuple[bytes, ...] = ()
    retry_after_s: float | None = None
    priority: int = FIRST_PRIORITY

    @property
    def divisible(self) -> bool:
        """Whether a smaller parcel could have been sent."""
        return len(self.batches) != 1


def delivered(before: Outlook, what: Delivery, now_s: float, settings: ForwardSettings) -> Outlook:
    """The outlook after an answer."""
    whole_why = what.whole_why or ("" if what.was_whole else before.whole_why)
    suspects = before.suspects.after_delivery(what.batches, now_s)
    pause_s, why = _pause_after(before, what, suspects, settings)
    return Outlook(
        ceiling_bytes=min(settings.max_parcel_bytes, what.max_parcel_bytes),
        breaker=breaker.step(before.breaker, Event.ANSWERED),
        pace=before.pace.after_delivery(what.sent_bytes, what.took_s, timeout_s=settings.timeout_s),
        resume_s=now_s + pause_s,
        resume_why=why,
        resume_priority=FIRST_PRIORITY if what.behind is None else what.behind,
        heartbeat_s=now_s + settings.heartbeat_s,
        whole_why=whole_why,
        whole_s=now_s + WHOLE_EVERY_S if what.was_whole else before.whole_s,
        suspects=suspects,
    )


def _pause_after(before: Outlook, what: Delivery, suspects: Suspects, settings: ForwardSettings) -> tuple[float, str]:
    """How long nothing is sent after an answer, and why."""
    if what.pause_ms:
        return min(what.pause_ms / _MS, MAX_RETRY_AFTER_S), f"the hub asks for a pause of {what.pause_ms} ms"
    if suspects.streak > before.suspects.streak:
        shortest_s, longest_s = settings.backoff_min_s, settings.backoff_max_s
        pause_s = backoff_s(suspects.streak, shortest_s=shortest_s, longest_s=longest_s, jitter=1.0)
        return pause_s, f"set a batch aside that the hub fails at, {suspects.streak} without a delivery between them"
    return 0.0, ""


def failed(before: Outlook, what: Failure, now_s: float, jitter: float, settings: ForwardSettings) -> Outlook:
    """The outlook after a failure; `jitter` is a random number between 0 and 1."""
    failures = before.failures + 1
    if what.retry_after_s is not None:
        pause_s = min(what.retry_after_s, MAX_RETRY_AFTER_S)
        why = f"the hub asks to be left alone for {what.retry_after_s:.0f} s: {what.why}"
    else:
        shortest_s, longest_s = settings.backoff_min_s, settings.backoff_max_s
        pause_s = backoff_s(failures, shortest_s=shortest_s, longest_s=longest_s, jitter=jitter)
        why = f"pause of {pause_s:.1f} s after {failures} failure(s): {what.why}"
    return replace(
        before,
        breaker=breaker.step(before.breaker, _event(before, what, failures)),
        pace=_pace_after(before.pace, what),
        failures=failures,
        resume_s=now_s + pause_s,
        resume_why=why,
        resume_priority=what.priority if what.retry_after_s is not None else FIRST_PRIORITY,
        suspects=_suspects_after(before.suspects, what),
    )


def _suspects_after(suspects: Suspects, what: Failure) -> Suspects:
    if what.kind is Failed.NOT_TAKEN or (what.kind is Failed.TOO_LARGE and not what.divisible):
        return suspects.after_refusal(what.batches, what.why)
    return suspects.after_failure()


def _event(before: Outlook, what: Failure, failures: int) -> Event:
    # A hub that says when is there: a full parcel is welcome when the time has come.
    if what.kind is Failed.BUSY and what.retry_after_s is not None and before.breaker is not Breaker.OPEN:
        return Event.PUT_OFF
    if before.breaker is not Breaker.CLOSED:
        return Event.TRIPPED
    return breaker.failure(failures)


def _pace_after(pace: Pace, what: Failure) -> Pace:
    if what.kind is Failed.TOO_LARGE and what.sent_bytes:
        return pace.after_too_large(what.sent_bytes)
    if what.kind is Failed.TIMED_OUT and what.sent_bytes:
        return pace.after_timeout(what.sent_bytes, divisible=what.divisible)
    return pace
