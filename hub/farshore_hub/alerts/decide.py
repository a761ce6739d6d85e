"""What a look at everything makes of the alerts that stand: which are raised, cleared, or on their way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from farshore_hub.alerts.hysteresis import Look, Phase, Standing, step
from farshore_hub.alerts.kinds import FACTS, Kind, Severity
from farshore_hub.alerts.rules import Rule, Rules
from farshore_hub.expect.selector import NO_LABELS, Labels


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about. A site is empty for the hub itself, a stream for the whole site.

    Attributes:
        facet: which of several: the reason of receipts, the name of an objective, a folder.
    """

    kind: Kind
    site: str = ""
    stream: str = ""
    facet: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What was measured of a subject, in the unit of its kind.

    Attributes:
        value: NaN if nobody can know just now: then what stands goes on to stand, and nothing is raised.
        mark: what is bad; something else that is bad instead is a new fault.
        detail: for people.
        severity: instead of the rule's.
    """

    value: float
    mark: str = ""
    detail: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Of one look.

    Attributes:
        unbroken: there was a look a short time ago, by the same clock.
        settled: the hub has run for long enough to tell the silence of a site from its own.
    """

    now_us: int
    unbroken: bool
    settled: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one subject. `seen` is None if nothing bad was seen of it any more."""

    subject: Subject
    rule: Rule
    before: Standing | None
    after: Standing
    seen: Observation | None

    @property
    def is_raised(self) -> bool:
        """Whether it is raised with this look."""
        was_up = self.before is not None and self.before.phase.is_up
        return self.after.phase is Phase.RAISED and not was_up

    @property
    def is_cleared(self) -> bool:
        """Whether it is over with this look."""
        return self.after.phase is Phase.QUIET and self.before is not None and self.before.phase.is_up


_NOBODYS: Final[Mapping[str, Labels]] = MappingProxyType({})


def decide(
    standing: Mapping[Subject, Standing],
    seen: Mapping[Subject, Observation],
    rules: Rules,
    look: Circumstances,
    labels: Mapping[str, Labels] = _NOBODYS,
) -> list[Decision]:
    """Decide about every subject that stands or was seen; only those are returned whose standing changes.

    Args:
        standing: what stands.
        seen: what was seen.
        rules: which levels hold.
        look: the circumstances.
        labels: of sites, by name, if a rule goes by them.
    """
    decisions = (
        _decide(subject, standing.get(subject), seen.get(subject), _rule_of(rules, subject, labels), look)
        for subject in {**standing, **seen}
    )
    return [each for each in decisions if each.after != (each.before or Standing())]


def _rule_of(rules: Rules, subject: Subject, labels: Mapping[str, Labels]) -> Rule:
    return rules.of(subject.kind, subject.site, subject.stream, labels.get(subject.site, NO_LABELS))


def _decide(
    subject: Subject, before: Standing | None, seen: Observation | None, rule: Rule, look: Circumstances
) -> Decision:
    may_raise = look.settled or not FACTS[subject.kind].of_silence
    value, mark = (seen.value, seen.mark) if seen and not rule.off else (None, "")
    looked = Look(value, look.now_us, mark, may_raise=may_raise, unbroken=look.unbroken)
    return Decision(subject, rule, before, step(before or Standing(), looked, rule.levels), seen)
