"""The circuit breaker: whether whole parcels go out, nothing goes out, or one small one looks whether the way is open.

All of it is one table; a step that the table does not have is a bug and raises.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

TRIP_AFTER: Final = 3
"""Failures in a row that open the breaker."""


class Breaker(enum.StrEnum):
    """The state."""

    CLOSED = "closed"
    """All is well: parcels go out."""
    OPEN = "open"
    """The link fails. Nothing goes out before the pause is over."""
    HALF_OPEN = "half-open"
    """One small parcel is on its way."""


class Event(enum.StrEnum):
    """What can happen."""

    SENDING = "sending"
    ANSWERED = "answered"
    PUT_OFF = "put-off"
    """The hub is there, and says when a parcel is welcome."""
    FAILED = "failed"
    TRIPPED = "tripped"
    """A failure that is one too many."""


class NoSuchStep(AssertionError):
    """An event that cannot happen in this state."""


_TABLE: Final[Mapping[tuple[Breaker, Event], Breaker]] = {
    (Breaker.CLOSED, Event.SENDING): Breaker.CLOSED,
    (Breaker.CLOSED, Event.ANSWERED): Breaker.CLOSED,
    (Breaker.CLOSED, Event.PUT_OFF): Breaker.CLOSED,
    (Breaker.CLOSED, Event.FAILED): Breaker.CLOSED,
    (Breaker.CLOSED, Event.TRIPPED): Breaker.OPEN,
    (Breaker.OPEN, Event.SENDING): Breaker.HALF_OPEN,
    (Breaker.OPEN, Event.TRIPPED): Breaker.OPEN,
    (Breaker.HALF_OPEN, Event.ANSWERED): Breaker.CLOSED,
    (Breaker.HALF_OPEN, Event.PUT_OFF): Breaker.CLOSED,
    (Breaker.HALF_OPEN, Event.TRIPPED): Breaker.OPEN,
}


def step(state: Breaker, event: Event) -> Breaker:
    """The state after an event.

    Raises:
        NoSuchStep: the table does not have it.
    """
    try:
        return _TABLE[state, event]
    except KeyError:
        raise NoSuchStep(f"a breaker that is {state} cannot see {event}") from None


def failure(failures: int) -> Event:
    """Which event the latest of that many failures in a row is."""
    return Event.TRIPPED if failures >= TRIP_AFTER else Event.FAILED
