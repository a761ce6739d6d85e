"""How urgent a parcel is, said before it is sent: the hub decides then whether it takes it now or later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from farshore_protocol.limits import MAX_PARCEL_BYTES

LAST_PRIORITY: Final = 0
DEFAULT_PRIORITY: Final = 5
FIRST_PRIORITY: Final = 9

PRIORITY_HEADER: Final = "farshore-priority"
BEHIND_HEADER: Final = "farshore-behind"
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Behind:
    """What comes after a parcel: the priority of the most urgent batch that waits, and the bytes of the next parcel."""

    priority: int
    size: int


@dataclass(frozen=True, slots=True)
class Urgency:
    """Priorities, 0 (last) … 9 (first).

    Attributes:
        priority: of the most urgent batch in the parcel.
        behind: what comes after it; None when nothing does, or nobody knows.
    """

    priority: int = DEFAULT_PRIORITY
    behind: Behind | None = None

    def headers(self) -> dict[str, str]:
        """The request headers that say it; nothing where it is as usual, because small parcels are mostly envelope."""
        told = {} if self.priority == DEFAULT_PRIORITY else {PRIORITY_HEADER: str(self.priority)}
        if self.behind is not None:
            told[BEHIND_HEADER] = f"{self.behind.priority}, {self.behind.size}"
        return told

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Urgency:
        """What they say; what cannot be read was not said."""
        priority = _number(headers.get(PRIORITY_HEADER, ""), FIRST_PRIORITY)
        before, _, after = headers.get(BEHIND_HEADER, "").partition(",")
        next_priority, size = _number(before, FIRST_PRIORITY), _number(after, MAX_PARCEL_BYTES)
        behind = None if next_priority is None or size is None else Behind(next_priority, size)
        return cls(DEFAULT_PRIORITY if priority is None else priority, behind)


def _number(text: str, most: int) -> int | None:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS):
        return None
    return int(digits) if int(digits) <= most else None
