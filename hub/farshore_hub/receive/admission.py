"""Which parcels the hub reads now, and when the others come back. Pure: times are handed in.

What was let in and is not answered yet is bounded, in bytes and in the time that it will take. A part of that is kept
for urgent parcels. Whoever does not fit is promised a slot, and whoever has more to send while others wait is given one
with the answer. A site's word that its parcel is urgent is good for a share only.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from farshore_hub.receive.rate import Rate, cost_of
from farshore_hub.receive.slots import Slots
from farshore_protocol.limits import MAX_PARCEL_BYTES, MIB
from farshore_protocol.urgency import DEFAULT_PRIORITY, Urgency

ROOM_BYTES: Final = 128 * MIB
QUEUE_S: Final = 10.0
"""More work than this does not wait inside the hub: the sites' patience is six times as long."""

IDLE_S: Final = 0.25
"""With less work than this the hub takes whoever comes, even before those with a later slot."""

URGENT_BYTES: Final = 1 * MIB
URGENT_PER_S: Final = 16 * 1024
"""What one site may send as urgent at once, and how quickly that comes back; beyond it, it is as urgent as others."""

_FORGIVEN_S: Final = (URGENT_BYTES + MAX_PARCEL_BYTES) / URGENT_PER_S

EARLY_S: Final = 1.0
"""Retry-After has whole seconds, and clocks differ: so much before its slot a site may come."""

MAX_PROMISED_BYTES: Final = 4 * MIB
"""A slot is not wider than for a parcel of this size, whatever a site says that it will send."""

LATE_S: Final = 600.0
"""After so long a promise is forgotten."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a site says of a parcel before it sends it.

    Attributes:
        size: in bytes.
        urgency: as the site says.
    """

    site: str
    size: int
    urgency: Urgency = field(default_factory=Urgency)


@dataclass(slots=True)
class Admission:
    """The state: what is inside, what was promised."""

    room_bytes: int = ROOM_BYTES
    rate: Rate = field(default_factory=Rate)
    _slots: Slots = field(default_factory=Slots)
    _promised: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)
    _urgent: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _inside_bytes: int = 0
    _inside_cost: int = 0
    _inside: int = 0

    def enter(self, asked: Asked, now_s: float) -> float:
        """0 for a parcel that is let in, which `leave` has to follow; else in how many seconds to come back."""
        priority = self._believed(asked, now_s)
        promised_s, promised_priority = self._promised.get(asked.site, (0.0, -1))
        if promised_s - EARLY_S > now_s and priority <= promised_priority:
            return promised_s - now_s
        if not self._has_room(asked.size, priority, has_slot=0 < promised_s <= now_s + EARLY_S, now_s=now_s):
            return self._promise(asked.site, asked.size, priority, now_s) - now_s
        if priority >= promised_priority or promised_s <= now_s + EARLY_S:
            self._promised.pop(asked.site, None)
        self._inside += 1
        self._inside_bytes += asked.size
        self._inside_cost += cost_of(asked.size)
        return 0.0

    def pause_after(self, asked: Asked, now_s: float) -> float:
        """How many seconds the site waits with what is behind this parcel; 0 when nobody else waits."""
        behind, others_wait = asked.urgency.behind, self._slots.are_taken(now_s)
        if behind is None or self._work_s() < (IDLE_S if others_wait else QUEUE_S / 2):
            return 0.0
        is_believed = behind.priority <= DEFAULT_PRIORITY or self._credit(asked.site, now_s) > 0
        priority = behind.priority if is_believed else DEFAULT_PRIORITY
        return self._promise(asked.site, behind.size, priority, now_s) - now_s

    def leave(self, asked: Asked, now_s: float) -> None:
        """The parcel was answered, or given up."""
        self._inside -= 1
        self._inside_bytes -= asked.size
        self._inside_cost -= cost_of(asked.size)
        self.rate.note(cost_of(asked.size), self._inside, now_s)

    def _has_room(self, size: int, priority: int, *, has_slot: bool, now_s: float) -> bool:
        is_urgent = priority > DEFAULT_PRIORITY
        part = 1.0 if is_urgent else 0.75
        if self._inside_bytes + size > part * self.room_bytes and self._inside:
            return False
        if has_slot or is_urgent or not self._slots.are_taken(now_s):
            return self._work_s() < part * QUEUE_S
        return self._work_s() < IDLE_S

    def _work_s(self) -> float:
        return self._inside_cost / self.rate.per_s

    def _promise(self, site: str, size: int, priority: int, now_s: float) -> float:
        self._forget(now_s)
        width_s = cost_of(min(size, MAX_PROMISED_BYTES)) / self.rate.per_s
        free_s = now_s + self._work_s() - IDLE_S if priority <= DEFAULT_PRIORITY else 0.0
        at_s = self._slots.take(now_s, width_s, priority, not_before_s=free_s)
        self._promised[site] = (at_s, priority)
        self._promised.move_to_end(site)
        return at_s

    def _forget(self, now_s: float) -> None:
        while self._promised and next(iter(self._promised.values()))[0] < now_s - LATE_S:
            self._promised.popitem(last=False)

    def _believed(self, asked: Asked, now_s: float) -> int:
        """How urgent the parcel is, as far as the site's share of urgent bytes goes."""
        priority = asked.urgency.priority
        if priority <= DEFAULT_PRIORITY:
            return priority
        left = self._credit(asked.site, now_s)
        if left <= 0:
            return DEFAULT_PRIORITY
        self._urgent[asked.site] = (left - asked.size, now_s)
        self._urgent.move_to_end(asked.site)
        return priority

    def _credit(self, site: str, now_s: float) -> float:
        """How many bytes the site may still send as urgent."""
        while self._urgent and now_s - next(iter(self._urgent.values()))[1] > _FORGIVEN_S:
            self._urgent.popitem(last=False)
        left, since_s = self._urgent.get(site, (URGENT_BYTES, now_s))
        return min(URGENT_BYTES, left + (now_s - since_s) * URGENT_PER_S)
