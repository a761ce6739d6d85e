"""How much one site may keep at the hub: what comes beyond it stays at the site, and nobody else notices.

A site may fill the disk with genuine records of its own. Of one that keeps as much as it may, batches are refused; its
statements are taken, so that the ledger still says what it has. It is measured seldom: as long as the whole database
is smaller than what one site may keep, nobody is over it.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from sqlalchemy import Engine

from farshore_hub.receive.verify import VerifiedParcel
from farshore_hub.store import quota as store
from farshore_hub.store.engine import reading
from farshore_protocol.batch import digest_of
from farshore_protocol.limits import KIB, MIB
from farshore_protocol.messages import Refusal, Refused
from farshore_protocol.ports import Clock

MAX_KEPT_BYTES: Final = 100 * 1024 * MIB
"""Of one site, unless the settings say otherwise."""

MEASURE_S: Final = 600.0
"""After so long what is kept is measured anew; what came since then is added."""

PAUSE_S: Final = 600
"""After so long a site that is over its quota may try again, with a small parcel."""

SMALL_PARCEL_BYTES: Final = 64 * KIB

_EPOCH_BYTES: Final = 256
"""What a key epoch takes beside its sealed key, at most."""


class Quota:
    """Measures and refuses; blocking, may be used from several threads at once."""

    def __init__(self, engine: Engine, clock: Clock, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self.max_bytes = max_bytes
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._measured_s = float("-inf")
        self._kept_at_most = 0
        self._kept: dict[int, int] = {}
        self._came: Counter[int] = Counter()

    def apply(self, parcel: VerifiedParcel) -> VerifiedParcel:
        """Take out of a parcel what its site has no room for: all of its batches, or none."""
        brought = [each.raw for each in parcel.batches] + [raw for _, raw in parcel.dictionaries]
        size = sum(map(len, brought)) + sum(len(each.sealed) + _EPOCH_BYTES for each in parcel.epochs)
        if not size or self._has_room(parcel.site.id, size):
            return parcel
        why = f"the hub keeps {self.max_bytes} bytes of one site (sites.max_kept_bytes), and has them"
        parcel.refusals += [Refusal(digest_of(raw), Refused.OVER_LIMIT, why) for raw in brought]
        parcel.batches, parcel.dictionaries, parcel.epochs = [], [], []
        parcel.over_quota = True
        return parcel

    def _has_room(self, site_id: int, size: int) -> bool:
        with self._lock:
            self._forget_when_old()
            self._came[site_id] += size
            if self._kept_at_most + self._came.total() <= self.max_bytes:
                return True
            if site_id not in self._kept:
                with reading(self._engine) as connection:
                    self._kept[site_id] = store.kept_by_site(connection, site_id).get(site_id, 0)
                self._came[site_id] = size
            if self._kept[site_id] + self._came[site_id] <= self.max_bytes:
                return True
            self._came[site_id] -= size
            return False

    def _forget_when_old(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._measured_s + MEASURE_S:
            with reading(self._engine) as connection:
                self._kept_at_most = store.kept_at_most(connection)
            self._measured_s = now_s
            self._kept.clear()
            self._came.clear()
