"""How often somebody may try to sign in with a token that is none."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from farshore_hub.errors import TooMany
from farshore_protocol.ports import Clock

MAX_FAILURES: Final = 10
WITHIN_S: Final = 60.0
"""So many from one address within such a time; a token has 192 random bits, and this is not what keeps it safe."""

_MAX_ADDRESSES: Final = 10_000


class Throttle:
    """Counts failures by address, of so many addresses; those that failed longest ago are forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Let an attempt pass.

        Raises:
            TooMany: there were enough from this address.
        """
        recent = self._recent(address)
        if len(recent) >= MAX_FAILURES:
            wait_s = max(1, round(recent[0] + WITHIN_S - self._clock.monotonic_s()))
            raise TooMany("too many attempts with a wrong token came from here", retry_after_s=wait_s)

    def failed(self, address: str) -> None:
        """Count a failure."""
        self._failures[address] = [*self._recent(address), self._clock.monotonic_s()]
        self._failures.move_to_end(address)
        while len(self._failures) > _MAX_ADDRESSES:
            self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since_s = self._clock.monotonic_s() - WITHIN_S
        return [at for at in self._failures.get(address, ()) if at > since_s]
