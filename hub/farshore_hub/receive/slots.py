"""When to come back: a busy hub gives every caller a slot of its own, so that ten thousand sites do not come at once.

Urgent callers are given the earlier slots. Pure; times are seconds of a clock that only goes forward.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from farshore_protocol.urgency import FIRST_PRIORITY

LEVELS: Final = FIRST_PRIORITY + 1
SOONEST_S: Final = 1.0
"""Nobody is asked to come back sooner: the way there and back takes its time too."""


@dataclass(slots=True)
class Slots:
    """Hands out moments, one after the other; those of a higher priority come first.

    Attributes:
        furthest_s: nobody is sent further away than this.
        next_s: by priority, the next free moment.
    """

    furthest_s: float = 3_600.0
    next_s: list[float] = field(default_factory=lambda: [0.0] * LEVELS)

    def take(self, now_s: float, width_s: float, priority: int, *, not_before_s: float = 0.0) -> float:
        """The next free moment for what takes `width_s`; what is less urgent moves back by as much."""
        at = max(self.next_s[priority], now_s + SOONEST_S, not_before_s)
        if at - now_s > self.furthest_s:
            return now_s + self.furthest_s
        self.next_s[priority] = at + width_s
        for lower in range(priority):
            self.next_s[lower] = max(self.next_s[lower], at) + width_s
        return at

    def are_taken(self, now_s: float) -> bool:
        """Whether somebody was given a moment that is still to come."""
        return self.next_s[0] > now_s
