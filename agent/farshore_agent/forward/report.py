"""What the forwarder has to show: the state of the link and what has happened on it, for people and metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from farshore_agent.forward.offset import ClockOffset


@dataclass(frozen=True, slots=True)
class SetAside:
    """A batch that the hub fails at, by its digest: why, how often it was tried, and when it is tried again."""

    batch: str
    why: str
    tries: int
    again_in_s: float


@dataclass(slots=True)
class LinkReport:
    """Counts since the start of the agent, and the latest of everything else. Only the forwarder changes it.

    Attributes:
        state: of the circuit breaker, or why there is no link at all.
        doing: the present step, and why.
        last_error, last_remedy: of the newest failure; empty after a success.
        last_answer_us: when the newest answer came, on the site's clock.
        offset: of the site's clock.
        limit_bytes: of the next parcel.
        rate_bytes_s: measured on the latest full parcel.
        sent_parcels, sent_bytes: what was answered.
        acknowledged_batches, acknowledged_records, returned_batches: by the hub's word.
        exchanges: by outcome.
        refusals: batches that the hub did not take, by reason.
        set_aside: batches that the hub fails at; the others go on without them.
    """

    up: bool = False
    state: str = "not enrolled"
    address: str = ""
    doing: str = ""
    failures: int = 0
    last_error: str = ""
    last_remedy: str = ""
    last_answer_us: int | None = None
    offset: ClockOffset | None = None
    limit_bytes: int = 0
    rate_bytes_s: float = 0.0
    sent_parcels: int = 0
    sent_bytes: int = 0
    acknowledged_batches: int = 0
    acknowledged_records: int = 0
    returned_batches: int = 0
    exchanges: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    set_aside: list[SetAside] = field(default_factory=list)

    @property
    def offset_us(self) -> int:
        """The hub's clock minus the site's; 0 as long as it is not known."""
        return self.offset.offset_us if self.offset else 0
