"""How much the hub gets done, measured while it has enough to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PARCEL_COST: Final = 32 * 1024
"""What any parcel costs, as bytes of a large one: its signatures, its share of a commit, its answer."""

START_PER_S: Final = 16 * 1024 * 1024.0
"""Before anything was measured; rather too little, because whoever comes brings more than one parcel."""

_BUSY: Final = 8
"""With so many parcels to work on, more would not make it faster."""

_WINDOW_S: Final = 5.0


def cost_of(size: int) -> int:
    """What a parcel of that many bytes takes of the hub."""
    return PARCEL_COST + size


@dataclass(slots=True)
class Rate:
    """Cost per second, over the last seconds in which the hub was busy."""

    per_s: float = START_PER_S
    _since_s: float | None = None
    _done: int = 0

    def note(self, cost: int, at_work: int, now_s: float) -> None:
        """A parcel is done, and so many are still to be worked on."""
        if self._since_s is None:
            self._since_s, self._done = now_s, 0
        else:
            self._done += cost
        took_s = now_s - self._since_s
        is_over = at_work < _BUSY
        if took_s >= _WINDOW_S or (is_over and took_s >= 1.0):
            self.per_s = (self.per_s + self._done / took_s) / 2 if self.per_s != START_PER_S else self._done / took_s
            self._since_s, self._done = now_s, 0
        if is_over:
            self._since_s = None
