"""Watches what was promised: streams that are silent, and objectives whose time is over hour by hour. Blocking."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Final

from sqlalchemy import Connection, Engine

from farshore_hub.alerts.decide import Observation, Subject
from farshore_hub.alerts.kinds import Kind, Severity
from farshore_hub.expect.calendar import ALWAYS, HOUR_US
from farshore_hub.expect.expectation import (
    Expectation,
    ExpectedHour,
    ExpectedStream,
    expectation_of,
    expected_hours,
    named_streams,
    standing_of,
)
from farshore_hub.expect.objective import FAST, Budget, Hour, Objective, budget_of
from farshore_hub.expect.selector import NO_LABELS, Labels
from farshore_hub.ledger.hours import base_if_quarantine
from farshore_hub.store import declared, promises
from farshore_hub.store.days import read_site_hours
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.promises import JudgedHour, OpenHour, SiteFacts, StreamKey
from farshore_hub.watch.judging import Evidence, Verdict, judge

MAX_HOURS_AT_ONCE: Final = 48
MAX_WINDOW_DAYS: Final = 62
LOOK_AGAIN_US: Final = 300_000_000
"""An hour is the smallest that is counted: there is no news every half a minute."""

_DAY_S: Final = 86_400
_WEEK_DAYS: Final = 7
_KEPT_PERIODS: Final = 2
_US_PER_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ObjectiveStanding:
    """An objective, where it stands, and whom it could not judge yet.

    Attributes:
        open_hours: hours of sites that have not said what they produced in them.
        worst: late records of the period, by site, the worst first.
    """

    objective: Objective
    budget: Budget
    open_hours: int
    worst: dict[str, int]


@dataclass(slots=True)
class Promises:
    """What `hub.toml` promises, held against the store."""

    engine: Engine
    expectations: Sequence[Expectation]
    objectives: Sequence[Objective]
    silent_after_s: int
    _found: dict[Subject, Observation] = field(default_factory=dict)
    _looked_us: int | None = None

    def look(self, now_us: int) -> dict[Subject, Observation]:
        """What is worth telling, judging hours whose time is over on the way; every few minutes anew."""
        if self._looked_us is None or not 0 <= now_us - self._looked_us < LOOK_AGAIN_US:
            for objective in self.objectives:
                self._judge_due(objective, now_us)
            self._found = {**self._silent(now_us), **self._at_risk()}
            self._looked_us = now_us
        return self._found

    # ----------------------------------------------------------------- streams

    def streams(self, now_us: int) -> list[tuple[ExpectedStream, bool]]:
        """Every stream with a promise, and whether anybody can know what it produces just now."""
        if not self.expectations:
            return []
        now_hour = now_us // HOUR_US
        hours = range(now_hour - 24 * self._window_days() + 1, now_hour + 1)
        with reading(self.engine) as connection:
            facts = promises.site_facts(connection)
            known = promises.streams_of_all(connection) | named_streams(self.expectations, _labels(facts))
            produced = promises.produced_by_hour(connection, hours)
        return list(self._standing(facts, known, produced, hours, now_us))

    def hours(self, site: str, hours: range) -> list[tuple[ExpectedHour, bool]]:
        """A line for each stream of a site with a promise and each hour, and whether the site has told of the hour."""
        with reading(self.engine) as connection:
            facts = promises.site_facts(connection).get(site)
            if facts is None:
                return []
            counts = read_site_hours(connection, facts.id, hours)
        streams = {base_if_quarantine(stream) for stream in counts.untold_from}
        lines: list[tuple[ExpectedHour, bool]] = []
        for _, stream in sorted(
            {(site, each) for each in streams} | named_streams(self.expectations, {site: facts.labels})
        ):
            promise = expectation_of(self.expectations, site, stream, facts.labels)
            if promise is not None:
                produced: Counter[int] = Counter()
                for (name, hour), of in counts.counts.items():
                    if base_if_quarantine(name) == stream:
                        produced[hour] += of.produced
                since = range(max(hours.start, facts.joined_hour), hours.stop)
                found = expected_hours(site, stream, promise, produced, since)
                lines += [(each, facts.has_told(each.hour)) for each in found]
        return lines

    def _standing(
        self,
        facts: dict[str, SiteFacts],
        known: set[StreamKey],
        produced: dict[StreamKey, dict[int, int]],
        hours: range,
        now_us: int,
    ) -> Iterator[tuple[ExpectedStream, bool]]:
        for site, stream in sorted(known):
            of = facts.get(site)
            promise = expectation_of(self.expectations, site, stream, of.labels) if of is not None else None
            if promise is not None and of is not None:
                since_hour = max(hours.start, of.joined_hour)
                found = standing_of(site, stream, promise, produced.get((site, stream), {}), since_hour, now_us)
                is_heard = now_us - of.heard_us <= self.silent_after_s * _US_PER_S
                yield found, is_heard and (of.untold_from is None or of.untold_from > now_us // HOUR_US)

    def _window_days(self) -> int:
        """So many days that a silence that is too long shows in them, business hours or not."""
        days = [
            each.allowed_silence_s / _DAY_S * (1 if each.calendar == ALWAYS else _WEEK_DAYS)
            for each in self.expectations
        ]
        return min(MAX_WINDOW_DAYS, 2 + math.ceil(max(days)))

    def _silent(self, now_us: int) -> dict[Subject, Observation]:
        found: dict[Subject, Observation] = {}
        for stream, is_known in self.streams(now_us):
            subject = Subject(Kind.STREAM_SILENT, stream.site, stream.stream)
            if not is_known:
                found[subject] = Observation(math.nan)
            elif stream.silent_since_us is not None:
                since = datetime.fromtimestamp(stream.silent_since_us // _US_PER_S, UTC).strftime("%Y-%m-%d %H:%M")
                detail = f"nothing since {since} UTC; promised: {stream.expectation.rate}"
                found[subject] = Observation(max(1.0, stream.silent_s), detail=detail)
        return found

    # -------------------------------------------------------------- objectives

    def standings(self) -> list[ObjectiveStanding]:
        """Where every objective stands."""
        with reading(self.engine) as connection:
            return [_standing(connection, objective) for objective in self.objectives]

    def _at_risk(self) -> dict[Subject, Observation]:
        found: dict[Subject, Observation] = {}
        for standing in self.standings():
            for window, risk in standing.budget.risks.items():
                if risk:
                    subject = Subject(Kind.OBJECTIVE, facet=f"{standing.objective.name} {window}")
                    severity = Severity.CRITICAL if window == FAST.name else None
                    found[subject] = Observation(risk, detail=_risk_text(standing, window), severity=severity)
        return found

    def _judge_due(self, objective: Objective, now_us: int) -> None:
        due_hour, period = objective.due_hour(now_us), objective.period_s // 3600
        with reading(self.engine) as connection:
            last = promises.last_judged(connection, objective.name)
        # Of an objective that is new the past is not known: what is stored by now was perhaps late.
        first = due_hour if last is None else max(last + 1, due_hour - period)
        for hour in range(first, min(due_hour, first + MAX_HOURS_AT_ONCE - 1) + 1):
            self._judge_hour(objective, hour)
        self._judge_open(objective)
        if first <= due_hour:
            with writing(self.engine) as connection:
                promises.forget_judged(connection, objective.name, due_hour - _KEPT_PERIODS * period)

    def _judge_hour(self, objective: Objective, hour: int) -> None:
        with reading(self.engine) as connection:
            counts = promises.produced_and_stored(connection, hour)
            facts = promises.site_facts(connection)
            evidence = Evidence(
                counts,
                facts,
                self._promise(facts),
                promises.reliabilities(connection, objective.name),
                declared.maintenances_after(connection, hour * HOUR_US),
            )
            # A silent site's streams have no row for the hour yet.
            known = promises.streams_of_all(connection) | named_streams(self.expectations, _labels(facts))
        verdict = judge(objective, hour, evidence, known | counts.keys())
        self._write(objective, hour, verdict)

    def _promise(self, facts: Mapping[str, SiteFacts]) -> Callable[[str, str], Expectation | None]:
        labels = _labels(facts)
        return cache(lambda site, stream: expectation_of(self.expectations, site, stream, labels.get(site, NO_LABELS)))

    def _write(self, objective: Objective, hour: int, verdict: Verdict) -> None:
        with writing(self.engine) as connection:
            promises.save_judged(connection, objective.name, [verdict.judged(hour)])
            promises.add_open(connection, objective.name, verdict.open_hours(hour))
            promises.save_reliabilities(connection, objective.name, verdict.sources)

    def _judge_open(self, objective: Objective) -> None:
        """Judge hours of sites that have spoken meanwhile: what was not stored in time, was late."""
        with reading(self.engine) as connection:
            facts = promises.site_facts(connection)
            waiting = promises.open_hours(connection, objective.name)
            told = [each for each in waiting if each.site not in facts or facts[each.site].has_told(each.hour)]
            produced = {each: _produced(connection, objective, facts.get(each.site), each) for each in told}
            kept = {each.of.hour: each for each in promises.judged_since(connection, objective.name, 0)} if told else {}
        if not told:
            return
        changed: dict[int, JudgedHour] = {}
        for each, count in produced.items():
            before = changed.get(each.hour) or kept.get(each.hour) or JudgedHour(Hour(each.hour, 0, 0), {})
            changed[each.hour] = _with(before, each.site, count, max(0, count - each.stored))
        with writing(self.engine) as connection:
            promises.save_judged(connection, objective.name, changed.values())
            promises.remove_open(connection, objective.name, told)


def _standing(connection: Connection, objective: Objective) -> ObjectiveStanding:
    last = promises.last_judged(connection, objective.name) or 0
    judged = promises.judged_since(connection, objective.name, last - objective.period_s // 3600)
    worst: Counter[str] = Counter()
    for each in judged:
        worst.update(each.worst)
    open_hours = len(promises.open_hours(connection, objective.name))
    return ObjectiveStanding(
        objective, budget_of(objective, [each.of for each in judged]), open_hours, promises.worst_of(worst)
    )


def _produced(connection: Connection, objective: Objective, facts: SiteFacts | None, at: OpenHour) -> int:
    """How many records of an hour a site has produced, by its own word now; of one that is revoked nobody asks."""
    if facts is None:
        return 0
    counts = read_site_hours(connection, facts.id, range(at.hour, at.hour + 1)).counts
    return sum(
        of.produced
        for (stream, _), of in counts.items()
        if objective.covers(at.site, base_if_quarantine(stream), facts.labels)
    )


def _labels(facts: Mapping[str, SiteFacts]) -> dict[str, Labels]:
    return {site: of.labels for site, of in facts.items()}


def _with(judged: JudgedHour, site: str, due: int, late: int) -> JudgedHour:
    of = judged.of
    worst = {**judged.worst, site: judged.worst.get(site, 0) + late} if late else judged.worst
    return JudgedHour(Hour(of.hour, of.due + due, of.late + late, of.excused), worst)


def _risk_text(standing: ObjectiveStanding, window: str) -> str:
    long, short = standing.budget.rates[window]
    sites = ", ".join(standing.worst)
    worst = f"; most at {sites}" if sites else ""
    gone = f"{100 * standing.budget.burned:.0f} % of the error budget is gone"
    return f"burn rates {long:.1f} and {short:.1f}, {gone}{worst}"
