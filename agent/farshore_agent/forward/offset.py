"""How far the site's clock is from the hub's, learnt from signed answers. Pure.

The hub's time is taken for the middle of the exchange, so the error is at most half of its duration.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The hub's clock minus the site's, in microseconds, and how wrong that may be."""

    offset_us: int
    error_us: int

    @classmethod
    def measured(cls, sent_us: int, took_us: int, hub_us: int) -> ClockOffset:
        """From one exchange: when it began on the site's clock, how long it took, and the hub's time in the answer."""
        return cls(hub_us - (sent_us + took_us // 2), took_us // 2)

    def or_newer(self, newer: ClockOffset) -> ClockOffset:
        """The newer measurement, unless it only says the same less precisely."""
        agrees = abs(newer.offset_us - self.offset_us) <= self.error_us + newer.error_us
        return self if agrees and newer.error_us > self.error_us else newer
