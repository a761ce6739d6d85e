"""What is done with a batch that makes the hub refuse whole parcels, so that the ones behind it do not wait. Pure.

A parcel that is refused is halved until one batch is left. It is *accused*; an empty parcel asks whether the hub is
well otherwise. If so, the batch is *set aside*: the others go on, and it is tried again alone, later and later. If not,
the hub is at fault, and nothing is set aside. Nothing of this is stored, and nothing is given up by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from farshore_agent.buffer.model import OutboxBatch
from farshore_protocol.limits import MAX_PARCEL_BATCHES

FIRST_RETRY_S: Final = 5.0
"""Soon, because a fault that ends just then makes an innocent batch look guilty."""

LAST_RETRY_S: Final = 6 * 3_600.0
MAX_ASIDE: Final = 256
"""A hub that refuses more than this is broken; the rest waits until it is repaired."""

MANY: Final = 3
"""So many set aside without a delivery between them were probably not at fault."""


@dataclass(frozen=True, slots=True)
class Aside:
    """A batch that was set aside: how often it was refused, why, and when (monotonic) it is tried again."""

    tries: int
    why: str
    until_s: float


@dataclass(frozen=True, slots=True)
class Suspects:
    """The state of the search.

    Attributes:
        aside: by digest.
        within: among how many batches at the front the culprit is; 0 when none is sought.
        accused: the digest of the only batch of the last parcel, which was refused, and why.
        streak: how many were set aside since any was delivered.
    """

    aside: Mapping[bytes, Aside] = field(default_factory=dict)
    within: int = 0
    accused: tuple[bytes, str] | None = None
    streak: int = 0

    @property
    def at_most(self) -> int:
        """How many batches the next parcel may have."""
        return max(1, self.within // 2) if self.within else MAX_PARCEL_BATCHES

    def retried(self, batches: Iterable[OutboxBatch], now_s: float) -> OutboxBatch | None:
        """The first of these batches that was set aside and whose time has come."""
        return next((each for each in batches if self._is_due(each.digest, now_s)), None)

    def others(self, batches: Sequence[OutboxBatch]) -> Sequence[OutboxBatch]:
        """Those that are not set aside."""
        return [each for each in batches if each.digest not in self.aside] if self.aside else batches

    def next_s(self, batches: Iterable[OutboxBatch]) -> float | None:
        """When the first of these batches that are set aside is tried again."""
        return min((self.aside[each.digest].until_s for each in batches if each.digest in self.aside), default=None)

    def after_refusal(self, sent: Sequence[bytes], why: str) -> Suspects:
        """A parcel with batches of these digests was refused for what it carries."""
        if len(sent) > 1:
            return replace(self, within=len(sent), accused=None)
        if len(sent) == 1 and (len(self.aside) < MAX_ASIDE or sent[0] in self.aside):
            return replace(self, within=1, accused=(sent[0], why))
        return self.after_failure()

    def after_failure(self) -> Suspects:
        """An exchange failed for another reason: it says nothing of a batch."""
        return replace(self, accused=None) if self.accused else self

    def after_delivery(self, sent: Sequence[bytes], now_s: float) -> Suspects:
        """A parcel with batches of these digests was answered."""
        if not sent:
            return self._condemned(now_s)
        aside = {digest: each for digest, each in self.aside.items() if digest not in sent}
        if self.streak >= MANY:
            aside = {digest: replace(each, until_s=now_s) for digest, each in aside.items()}
        return Suspects(aside, max(0, self.within - len(sent)))

    def _condemned(self, now_s: float) -> Suspects:
        if self.accused is None:
            return self
        digest, why = self.accused
        tries = self.aside[digest].tries + 1 if digest in self.aside else 1
        pause_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(tries - 1, 32))
        return Suspects({**self.aside, digest: Aside(tries, why, now_s + pause_s)}, streak=self.streak + 1)

    def _is_due(self, digest: bytes, now_s: float) -> bool:
        return digest in self.aside and self.aside[digest].until_s <= now_s
