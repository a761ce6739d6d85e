"""How large the next parcel may be, and how long its exchange may take; learnt from what the link has done. Pure.

A parcel should take about two seconds, or ten round trips: long enough that the round trip does not matter, short
enough that little is lost when the link breaks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from farshore_protocol.limits import KIB

AIM_S: Final = 2.0
MAX_AIM_S: Final = 20.0
AIM_ROUND_TRIPS: Final = 10
"""Nine tenths of the link are used, although one parcel waits for the answer to the other."""

MIN_BYTES: Final = 16 * KIB
START_BYTES: Final = 64 * KIB
MAX_PATIENCE: Final = 64
_SHORTEST_S: Final = 0.001
_MAX_DOUBLINGS: Final = 64
_SLACK: Final = 1.25
"""By so much the known round trip grows at most, from one small parcel to the next."""

_RECOVERY: Final = 256
"""A part of a size that was refused, by which it is thought to have grown after each parcel."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was learnt.

    Attributes:
        limit_bytes: batches of the next parcel; a single larger batch goes alone.
        patience: the time-out is multiplied by it. It grows when a parcel that cannot be smaller does not get through.
        rate_bytes_s: of the latest full parcel; 0 before the first.
        round_trip_s: of the latest small parcels, the quickest; 0 before the first.
        refused_bytes: something on the way does not take parcels of this size; 0 where nothing was too large.
    """

    limit_bytes: int = START_BYTES
    patience: int = 1
    rate_bytes_s: float = 0.0
    round_trip_s: float = 0.0
    refused_bytes: int = 0

    @property
    def aim_s(self) -> float:
        """How long a full parcel should take."""
        return min(MAX_AIM_S, max(AIM_S, AIM_ROUND_TRIPS * self.round_trip_s))

    def after_delivery(self, sent_bytes: int, took_s: float, *, timeout_s: float) -> Pace:
        """A parcel was answered. Small ones say nothing about the link's speed, unless they were slow."""
        rate = sent_bytes / max(took_s, _SHORTEST_S)
        aim = int(min(rate * self.aim_s, 2 * self.limit_bytes))
        limit, known_rate = self.limit_bytes, self.rate_bytes_s
        if took_s > self.aim_s and sent_bytes >= MIN_BYTES:
            limit, known_rate = max(limit // 2, min(aim, limit)), rate
        elif 2 * sent_bytes >= limit:
            limit, known_rate = aim, rate
        is_quick = 4 * took_s < timeout_s * self.patience
        return replace(
            self,
            limit_bytes=max(MIN_BYTES, min(limit, self._below_refused())),
            patience=max(1, self.patience // 2) if is_quick else self.patience,
            rate_bytes_s=known_rate,
            round_trip_s=self._round_trip(sent_bytes, took_s),
            refused_bytes=self.refused_bytes + self.refused_bytes // _RECOVERY,
        )

    def _round_trip(self, sent_bytes: int, took_s: float) -> float:
        if sent_bytes >= MIN_BYTES:
            return min(self.round_trip_s, took_s)
        return min(took_s, _SLACK * self.round_trip_s) if self.round_trip_s else took_s

    def _below_refused(self) -> int:
        return self.refused_bytes * 3 // 4 if self.refused_bytes else self.limit_bytes * 2

    def after_too_large(self, sent_bytes: int) -> Pace:
        """Something on the way does not take parcels of this size. Its limit may be raised: it is slowly forgotten."""
        refused = min(sent_bytes, self.refused_bytes or sent_bytes)
        return replace(self, limit_bytes=max(MIN_BYTES, min(self.limit_bytes, refused) // 2), refused_bytes=refused)

    def after_timeout(self, sent_bytes: int, *, divisible: bool) -> Pace:
        """A parcel was too large for the link. What cannot be divided gets more time the next time."""
        limit = max(MIN_BYTES, min(self.limit_bytes, sent_bytes) // 2)
        patience = self.patience if divisible else min(MAX_PATIENCE, 2 * self.patience)
        return replace(self, limit_bytes=limit, patience=patience)

    def within(self, ceiling_bytes: int) -> int:
        """The limit of the next parcel, where nobody takes more than `ceiling_bytes`."""
        return min(self.limit_bytes, max(MIN_BYTES, ceiling_bytes))


def backoff_s(failures: int, *, shortest_s: float, longest_s: float, jitter: float) -> float:
    """The pause after that many failures in a row; `jitter` is a random number between 0 and 1.

    Exponential with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """
    doublings = min(failures - 1, _MAX_DOUBLINGS)
    return min(longest_s, shortest_s * 2.0**doublings) * jitter
