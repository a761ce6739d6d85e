"""Completeness objectives: a share of the records of each hour has to be stored within a time after its end.

What is missed burns the *error budget*: of a target of 99.5 % it is 0.5 % of the records of the period. The *burn rate*
is how many times faster than evenly it is burned. Somebody is told when a long and a short window both burn too fast:
the long one says that it matters, the short one that it still goes on (Google's SRE workbook, "Alerting on SLOs").
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from farshore_hub.expect.patterns import matches
from farshore_hub.expect.selector import NO_LABELS, Labels, Selector, selects


class Basis(enum.StrEnum):
    """Which records have to be stored."""

    PRODUCED = "produced"
    """What the agents gave a sequence to: the objective of agent, link and hub."""
    EXPECTED = "expected"
    """What `[[expect]]` promises, by the reliability that the source was measured to have."""


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective for all streams that fit two patterns, at sites that are selected by their labels, together.

    Attributes:
        target: the share that has to be stored.
        within_s: after the end of their hour.
        period_s: of the error budget.
    """

    name: str
    sites: str
    streams: str
    target: float
    within_s: int
    period_s: int
    of: Basis = Basis.PRODUCED
    labels: Selector = field(default_factory=dict)

    def covers(self, site: str, stream: str, labels: Labels = NO_LABELS) -> bool:
        """Whether a stream counts; `labels` are those of its site."""
        return matches(self.streams, stream) and matches(self.sites, site) and selects(self.labels, labels)

    def due_hour(self, now_us: int) -> int:
        """The last hour whose time is over."""
        return (now_us // 1_000_000 - self.within_s) // 3600 - 1


@dataclass(frozen=True, slots=True)
class Hour:
    """What an objective made of one hour: records that were due, and of them those that were late."""

    hour: int
    due: int
    late: int
    excused: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """Two windows that both have to burn so much of the period's budget per hour; lengths in hours."""

    name: str
    long: int
    short: int
    budget: float

    def threshold(self, period_s: int) -> float:
        """The burn rate at which the long window burns that share of the period's budget."""
        return self.budget * (period_s / 3600) / self.long


FAST: Final = Window("fast", long=6, short=1, budget=0.05)
SLOW: Final = Window("slow", long=72, short=6, budget=0.10)
WINDOWS: Final = (FAST, SLOW)
"""The workbook's, without those that are shorter than an hour: an hour is the smallest that is counted."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Where an objective stands.

    Attributes:
        met: the share that was stored in time; 1 if nothing was due.
        burned: the share of the period's error budget that is gone; over 1 the objective is missed.
        rates: the burn rates of the windows' long and short part, by name.
        risks: the lower of both as a multiple of the window's threshold; 1 and more is at risk.
    """

    met: float
    burned: float
    due: int
    late: int
    excused: int
    rates: dict[str, tuple[float, float]]
    risks: dict[str, float]


def budget_of(objective: Objective, hours: Sequence[Hour]) -> Budget:
    """Where an objective stands after these hours, of which none is older than its period."""
    last = max((each.hour for each in hours), default=0)
    due, late = sum(each.due for each in hours), sum(each.late for each in hours)
    allowed = 1 - objective.target
    rates = {
        each.name: (_rate(hours, last, each.long, allowed), _rate(hours, last, each.short, allowed)) for each in WINDOWS
    }
    risks = {each.name: min(rates[each.name]) / each.threshold(objective.period_s) for each in WINDOWS}
    missed = late / due if due else 0.0
    return Budget(1 - missed, missed / allowed, due, late, sum(each.excused for each in hours), rates, risks)


def _rate(hours: Sequence[Hour], last: int, length: int, allowed: float) -> float:
    within = [each for each in hours if each.hour > last - length]
    due = sum(each.due for each in within)
    return sum(each.late for each in within) / due / allowed if due else 0.0


@dataclass(frozen=True, slots=True)
class Reliability:
    """How much of what a source promises it has delivered to the agent, older hours counting less and less."""

    expected: float = 0.0
    produced: float = 0.0

    def after(self, expected: float, produced: int, period_s: int) -> Reliability:
        """After one more hour; what is a period old counts a third of it."""
        kept = max(0.0, 1 - 3600 / period_s)
        return Reliability(self.expected * kept + expected, self.produced * kept + min(produced, expected))

    @property
    def share(self) -> float:
        """Between 0 and 1; of a source of which nothing was expected yet nothing bad is known."""
        return self.produced / self.expected if self.expected else 1.0


def due_records(objective: Objective, produced: int, expected: float, source: Reliability) -> int:
    """How many records of an hour have to be stored.

    Of what is expected only as much as the source delivers by itself: a sensor that skips 3 % of its readings, always,
    burns nothing. What the agent has taken has to be stored whatever was expected.
    """
    if objective.of is Basis.PRODUCED:
        return produced
    return max(produced, int(expected * source.share))
