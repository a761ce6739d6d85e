"""What an objective makes of one hour of the whole fleet. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from farshore_hub.expect.calendar import HOUR_US
from farshore_hub.expect.expectation import Expectation
from farshore_hub.expect.objective import Basis, Hour, Objective, Reliability, due_records
from farshore_hub.expect.patterns import matches
from farshore_hub.store.declared import Maintenance
from farshore_hub.store.promises import JudgedHour, OpenHour, SiteFacts, StreamKey

_US_PER_S = 1_000_000


@dataclass(slots=True)
class Verdict:
    """What became of an hour.

    Attributes:
        late: records that were late, by site.
        opened: sites that have not said yet what they produced in it.
        sources: how reliable the sources are after it.
    """

    due: int = 0
    excused: int = 0
    late: dict[str, int] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)
    sources: dict[StreamKey, Reliability] = field(default_factory=dict)

    def judged(self, hour: int) -> JudgedHour:
        """As it is written down."""
        return JudgedHour(Hour(hour, self.due, sum(self.late.values()), self.excused), self.late)

    def open_hours(self, hour: int) -> list[OpenHour]:
        """As they are written down."""
        return [OpenHour(site, hour, stored) for site, stored in self.opened.items()]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known when an hour is judged.

    Attributes:
        counts: produced and stored, by stream.
        sites: what is known of each site.
        expected: the promise of a stream, if it has one.
        sources: how reliable the sources are before it.
        maintenances: everything that was declared.
    """

    counts: Mapping[StreamKey, tuple[int, int]]
    sites: Mapping[str, SiteFacts]
    expected: Callable[[str, str], Expectation | None]
    sources: Mapping[StreamKey, Reliability]
    maintenances: Sequence[Maintenance]


def judge(objective: Objective, hour: int, evidence: Evidence, streams: set[StreamKey]) -> Verdict:
    """Judge an hour whose time is over, as of now."""
    verdict = Verdict()
    for site, stream in streams:
        facts = evidence.sites.get(site)
        if facts is not None and facts.joined_hour <= hour and objective.covers(site, stream, facts.labels):
            _judge_stream(verdict, objective, hour, evidence, (site, stream), facts)
    return verdict


def _judge_stream(
    verdict: Verdict, objective: Objective, hour: int, evidence: Evidence, key: StreamKey, facts: SiteFacts
) -> None:
    site, (produced, stored) = key[0], evidence.counts.get(key, (0, 0))
    expected, has_told = 0.0, facts.has_told(hour)
    if objective.of is Basis.EXPECTED:
        promise = evidence.expected(*key)
        if promise is None:
            return
        expected, source = promise.expected(hour), evidence.sources.get(key, Reliability())
        if has_told and expected:
            verdict.sources[key] = source.after(expected, produced, objective.period_s)
        due = due_records(objective, produced, expected, source)
    else:
        due = produced
    if is_excused(objective, hour, site, evidence.maintenances):
        verdict.excused += due
    elif objective.of is Basis.PRODUCED and not has_told:
        verdict.opened[site] = verdict.opened.get(site, 0) + stored
    else:
        verdict.due += due
        verdict.late[site] = verdict.late.get(site, 0) + max(0, due - stored)


def is_excused(objective: Objective, hour: int, site: str, maintenances: Sequence[Maintenance]) -> bool:
    """Whether a site was worked on in any part of an hour, or at the moment at which its records had to be there."""
    begins_us, ends_us = hour * HOUR_US, (hour + 1) * HOUR_US
    due_us = ends_us + objective.within_s * _US_PER_S
    return any(
        matches(each.sites, site)
        and ((each.from_us < ends_us and each.until_us > begins_us) or each.from_us <= due_us < each.until_us)
        for each in maintenances
    )
