"""Which levels hold for which site and stream, and when a standing alert is kept quiet.

The defaults hold without any setting. Of the `[[alert]]` tables that fit, the last one says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

from farshore_hub.alerts.hysteresis import Levels
from farshore_hub.alerts.kinds import FACTS, Kind, Severity
from farshore_hub.expect.calendar import Calendar
from farshore_hub.expect.patterns import matches
from farshore_hub.expect.selector import NO_LABELS, Labels, Selector, selects


@dataclass(frozen=True, slots=True)
class Change:
    """What one `[[alert]]` changes; None is what held before.

    Attributes:
        quiet: when it is not told; it stands all the same.
        off: it is not looked for at all.
    """

    kind: Kind
    sites: str = "*"
    streams: str = "*"
    raise_at: float | None = None
    clear_below: float | None = None
    after_s: int | None = None
    clear_after_s: int | None = None
    severity: Severity | None = None
    off: bool | None = None
    quiet: Calendar | None = None
    labels: Selector = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one subject."""

    levels: Levels
    severity: Severity
    off: bool = False
    quiet: Calendar | None = None


@dataclass(slots=True)
class Rules:
    """All rules of a hub; finding one twice costs nothing."""

    changes: Sequence[Change] = ()
    _found: dict[tuple[Kind, str, str, frozenset[tuple[str, str]]], Rule] = field(default_factory=dict)
    _of_kind: dict[Kind, list[Change]] = field(default_factory=dict)
    _bases: dict[Kind, Rule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in Kind:
            self._of_kind[kind] = [each for each in self.changes if each.kind is kind]
            self._bases[kind] = _base(kind)

    @property
    def is_by_labels(self) -> bool:
        """Whether it matters which labels sites have."""
        return any(each.labels for each in self.changes)

    def of(self, kind: Kind, site: str = "", stream: str = "", labels: Labels = NO_LABELS) -> Rule:
        """The rule for one subject; `labels` are those of its site."""
        if not self._of_kind[kind]:
            return self._bases[kind]
        key = kind, site, stream, frozenset(labels.items())
        if key not in self._found:
            fitting = (each for each in self._of_kind[kind] if _fits(each, site, stream, labels))
            self._found[key] = reduce(changed, fitting, self._bases[kind])
        return self._found[key]

    def lowest_clear(self, kind: Kind) -> float:
        """A level under which no subject of that kind has anything to tell; 0 where the settings move levels."""
        levels = self._bases[kind].levels
        raised = [levels.raise_at, *(each.raise_at for each in self._of_kind[kind] if each.raise_at is not None)]
        cleared = [
            levels.clear_below,
            *(each.clear_below for each in self._of_kind[kind] if each.clear_below is not None),
        ]
        # A change of `raise_at` alone keeps the share that held before, whichever that was.
        return min(
            [*cleared, *(raise_at * clear / other for raise_at in raised for clear in cleared for other in raised)]
        )


def _fits(change: Change, site: str, stream: str, labels: Labels) -> bool:
    return matches(change.sites, site) and matches(change.streams, stream) and selects(change.labels, labels)


def _base(kind: Kind) -> Rule:
    facts = FACTS[kind]
    return Rule(Levels(facts.raise_at, facts.clear_below, facts.after_s, facts.clear_after_s), facts.severity)


def changed(rule: Rule, change: Change) -> Rule:
    """The rule after one change. Where only `raise_at` changes, `clear_below` keeps its share of it.

    Raises:
        ValueError: it would be cleared and raised at once.
    """
    before = rule.levels
    raise_at = before.raise_at if change.raise_at is None else change.raise_at
    share = before.clear_below / before.raise_at if before.raise_at else 1
    levels = Levels(
        raise_at,
        raise_at * share if change.clear_below is None else change.clear_below,
        before.after_s if change.after_s is None else change.after_s,
        before.clear_after_s if change.clear_after_s is None else change.clear_after_s,
    )
    return Rule(
        levels,
        change.severity or rule.severity,
        rule.off if change.off is None else change.off,
        change.quiet or rule.quiet,
    )
