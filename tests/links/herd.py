"""Ten thousand sites come back at once: how soon the hub has everything, and in how many tries. On virtual time.

The sites' decisions (planner, outlook, pace, backoff) and the hub's (admission, slots, rate) are the code that ships;
only the network and the hub's work are made up here. Other policies for coming back stand beside for comparison.

    python -m tests.links.herd
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from farshore_agent.buffer.model import OutboxBatch
from farshore_agent.forward.breaker import Breaker
from farshore_agent.forward.outlook import Delivery, Failed, Failure, Outlook, delivered, failed
from farshore_agent.forward.planner import Send, View, decide
from farshore_agent.settings import ForwardSettings
from farshore_hub.receive.admission import Admission, Asked
from farshore_hub.receive.rate import cost_of
from farshore_protocol.limits import KIB, MAX_PARCEL_BYTES
from farshore_protocol.urgency import DEFAULT_PRIORITY, FIRST_PRIORITY

STATEMENT_BYTES: Final = 400
BATCH_BYTES: Final = 200 * KIB
SETTINGS: Final = ForwardSettings(max_parcel_bytes=256 * KIB)
ONE_WAY_S: Final = 0.05
UPLOAD_BYTES_S: Final = 1_000_000.0


def _doubled(failures: int) -> float:
    return min(300.0, 2.0 ** min(failures, 10))


ComeBack = Callable[[float, int, random.Random], float]
"""How long a site stays away that was put off: by the hub's word (seconds), after so many failures."""

POLICIES: Final[dict[str, ComeBack]] = {
    "fixed, 10 s": lambda _wait_s, _failures, _chance: 10.0,
    "exponential": lambda _wait_s, failures, _chance: _doubled(failures),
    "exponential, full jitter": lambda _wait_s, failures, chance: chance.uniform(
        0, min(300.0, 2.0 ** min(failures, 10))
    ),
    "slots of the hub": lambda wait_s, _failures, _chance: wait_s,
}
SHIPPED: Final = "slots of the hub"


@dataclass(frozen=True, slots=True)
class Herd:
    """How many sites come, with how many parcels each, and how many parcels a second the hub can do.

    Attributes:
        urgent: the share of the sites whose first batch is urgent.
        within_s: in which they all come.
    """

    sites: int = 10_000
    parcels: int = 5
    per_second: float = 200.0
    urgent: float = 0.1
    within_s: float = 1.0


@dataclass(slots=True)
class Drained:
    """What came of it.

    Attributes:
        ideal_s: with the hub at work from the first moment to the last.
        took_s: until it had everything; `urgent_s`: until it had everything urgent.
        delivered, tries: parcels with batches, and requests of any kind.
        peak: most tries within one second.
    """

    ideal_s: float = 0.0
    urgent_ideal_s: float = 0.0
    took_s: float = 0.0
    urgent_s: float = 0.0
    delivered: int = 0
    tries: int = 0
    peak: int = 0

    @property
    def time_factor(self) -> float:
        return self.took_s / self.ideal_s

    @property
    def tries_factor(self) -> float:
        return self.tries / self.delivered


@dataclass(slots=True)
class _Site:
    name: str
    waiting: list[OutboxBatch]
    outlook: Outlook


@dataclass(slots=True)
class _Parcel:
    site: _Site
    step: Send
    asked: Asked
    sent_s: float
    number: int = 0

    def __lt__(self, other: _Parcel) -> bool:
        return (-self.asked.urgency.priority, self.number) < (-other.asked.urgency.priority, other.number)


@dataclass(slots=True)
class World:
    """One herd under one policy."""

    herd: Herd
    come_back: ComeBack
    drained: Drained = field(default_factory=Drained)
    _admission: Admission = field(default_factory=Admission)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))
    _events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _queue: list[_Parcel] = field(default_factory=list)
    _is_at_work: bool = False
    _tries_at: dict[int, int] = field(default_factory=dict)

    def run(self) -> Drained:
        herd = self.herd
        for number in range(herd.sites):
            self._at(self._chance.uniform(0, herd.within_s), self._turn, self._site(number))
        while self._events:
            at_s, _, happen = heapq.heappop(self._events)
            happen(at_s)
        self.drained.ideal_s = herd.sites * herd.parcels / herd.per_second
        self.drained.urgent_ideal_s = herd.sites * herd.urgent / herd.per_second
        self.drained.peak = max(self._tries_at.values())
        return self.drained

    def _site(self, number: int) -> _Site:
        is_urgent = number < self.herd.sites * self.herd.urgent
        priorities = [FIRST_PRIORITY if is_urgent else DEFAULT_PRIORITY, *[DEFAULT_PRIORITY] * (self.herd.parcels - 1)]
        waiting = [
            OutboxBatch(at, b"life", "s", at, 1, BATCH_BYTES, b"%d-%d" % (number, at), priority, 0, 0, 0, b"", None)
            for at, priority in enumerate(priorities)
        ]
        away = Outlook(ceiling_bytes=SETTINGS.max_parcel_bytes, breaker=Breaker.OPEN, failures=5, heartbeat_s=1e9)
        return _Site(f"site-{number}", waiting, replace(away, whole_why="", whole_s=1e9))

    def _at(self, at_s: float, happen: Callable[[_Site, float], None], site: _Site) -> None:
        heapq.heappush(self._events, (at_s, next(self._numbers), lambda now_s: happen(site, now_s)))

    def _turn(self, site: _Site, now_s: float) -> None:
        """The site decides; with nothing left it goes home."""
        step = decide(View(now_s, site.waiting, site.outlook), SETTINGS)
        if not site.waiting:
            return
        if not isinstance(step, Send):
            self._at(now_s + step.seconds, self._turn, site)
            return
        site.outlook = site.outlook.sending()
        size = STATEMENT_BYTES + sum(batch.size for batch in step.batches)
        parcel = _Parcel(site, step, Asked(site.name, size, step.urgency), now_s, next(self._numbers))
        heapq.heappush(self._events, (now_s + ONE_WAY_S, parcel.number, lambda at_s: self._knock(parcel, at_s)))

    def _knock(self, parcel: _Parcel, now_s: float) -> None:
        self.drained.tries += 1
        self._tries_at[int(now_s)] = self._tries_at.get(int(now_s), 0) + 1
        wait_s = self._admission.enter(parcel.asked, now_s)
        site = parcel.site
        if not wait_s:
            arrived_s = now_s + parcel.asked.size / UPLOAD_BYTES_S
            heapq.heappush(self._events, (arrived_s, parcel.number, lambda at_s: self._arrive(parcel, at_s)))
            return
        away_s = self.come_back(float(-(-wait_s // 1)), site.outlook.failures + 1, self._chance)
        what = Failure(
            Failed.BUSY,
            "busy",
            parcel.asked.size,
            tuple(batch.digest for batch in parcel.step.batches),
            away_s,
            parcel.asked.urgency.priority,
        )
        site.outlook = failed(site.outlook, what, now_s + ONE_WAY_S, self._chance.random(), SETTINGS)
        self._at(now_s + ONE_WAY_S, self._turn, site)

    def _arrive(self, parcel: _Parcel, now_s: float) -> None:
        heapq.heappush(self._queue, parcel)
        self._work(now_s)

    def _work(self, now_s: float) -> None:
        if self._is_at_work or not self._queue:
            return
        self._is_at_work = True
        parcel = heapq.heappop(self._queue)
        share = cost_of(parcel.asked.size) / cost_of(BATCH_BYTES + STATEMENT_BYTES)
        done_s = now_s + share / self.herd.per_second
        heapq.heappush(self._events, (done_s, parcel.number, lambda at_s: self._answer(parcel, at_s)))

    def _answer(self, parcel: _Parcel, now_s: float) -> None:
        site, step = parcel.site, parcel.step
        pause_s = self._admission.pause_after(parcel.asked, now_s) if self.come_back is POLICIES[SHIPPED] else 0.0
        self._admission.leave(parcel.asked, now_s)
        if step.batches:
            self.drained.delivered += 1
            self.drained.took_s = now_s
            if parcel.asked.urgency.priority == FIRST_PRIORITY:
                self.drained.urgent_s = now_s
        site.waiting = [batch for batch in site.waiting if batch not in step.batches]
        behind = step.behind.priority if step.behind else None
        digests = tuple(batch.digest for batch in step.batches)
        took_s = now_s + ONE_WAY_S - parcel.sent_s
        what = Delivery(parcel.asked.size, took_s, False, "", MAX_PARCEL_BYTES, int(pause_s * 1000), digests, behind)
        site.outlook = replace(delivered(site.outlook, what, now_s + ONE_WAY_S, SETTINGS), heartbeat_s=1e9)
        self._at(now_s + ONE_WAY_S, self._turn, site)
        self._is_at_work = False
        self._work(now_s)


def drain(herd: Herd, policy: str = SHIPPED) -> Drained:
    """Let a herd come, under one of the policies."""
    return World(herd, POLICIES[policy]).run()


def main() -> None:
    _say("| sites | parcels each | parcels a second | policy | time | ideal | tries | in 1 s | urgent after |")
    _say("|--:|--:|--:|---|--:|--:|--:|--:|--:|")
    for policy in reversed(POLICIES):
        _show(Herd(), policy)
    for herd in (Herd(per_second=20), Herd(per_second=2_000), Herd(parcels=1), Herd(parcels=20, sites=2_500)):
        _show(herd, SHIPPED)


def _show(herd: Herd, policy: str) -> None:
    got = drain(herd, policy)
    row = [str(herd.sites), str(herd.parcels), f"{herd.per_second:.0f}", policy, f"{got.time_factor:.2f} x"]
    row += [f"{got.ideal_s:.0f} s", f"{got.tries_factor:.2f} x", str(got.peak), f"{got.urgent_s:.0f} s"]
    _say(f"| {' | '.join(row)} |")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    main()
