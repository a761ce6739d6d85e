"""What is told of an alert: the text for people, the document for programs, and when it is kept quiet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from farshore_hub.alerts.decide import Observation, Subject
from farshore_hub.alerts.kinds import FACTS, shown
from farshore_hub.alerts.rules import Rule
from farshore_hub.expect.patterns import matches
from farshore_hub.store.alerts import AlertRow
from farshore_hub.store.declared import Maintenance, Silence

RAISED: Final = "raised"
CLEARED: Final = "cleared"
ACKNOWLEDGED: Final = "acknowledged"
MAX_PER_MESSAGE: Final = 100


def text_of(subject: Subject, seen: Observation) -> str:
    """One sentence: where, what, how much."""
    where = "/".join(part for part in (subject.site, subject.stream) if part) or "the hub"
    facts = FACTS[subject.kind]
    what = f"{facts.title} ({subject.facet})" if subject.facet else facts.title
    detail = f"; {seen.detail}" if seen.detail else ""
    return f"{where}: {what}: {shown(facts.unit, seen.value)}{detail}"


def runbook_of(row: AlertRow, runbooks: str) -> str:
    """Where it says what to do."""
    return f"{runbooks}{row.kind}.md"


def document_of(row: AlertRow, change: str, runbooks: str, note: str = "") -> dict[str, Any]:
    """An alert for programs; times are microseconds since 1970, `note` is what a person had to say of the change."""
    return {
        "id": row.id,
        "change": change,
        "kind": row.kind.value,
        "severity": row.severity.value,
        "site": row.site,
        "stream": row.stream,
        "facet": row.facet,
        "value": row.value,
        "unit": FACTS[row.kind].unit.value,
        "text": row.text,
        "note": note,
        "raised_us": row.raised_us,
        "acknowledged_us": row.acknowledged_us,
        "acknowledged_by": row.acknowledged_by,
        "cleared_us": row.cleared_us,
        "runbook": runbook_of(row, runbooks),
    }


def bodies_of(hub: str, documents: Sequence[dict[str, Any]], now_us: int) -> list[str]:
    """Messages that tell these changes: a fleet that falls silent is a few messages, not thousands."""
    return [
        json.dumps({"version": 1, "hub": hub, "made_us": now_us, "alerts": documents[start : start + MAX_PER_MESSAGE]})
        for start in range(0, len(documents), MAX_PER_MESSAGE)
    ]


@dataclass(frozen=True, slots=True)
class Declared:
    """What people have declared that holds just now."""

    silences: Sequence[Silence]
    maintenances: Sequence[Maintenance]

    @classmethod
    def at(cls, now_us: int, silences: Sequence[Silence], maintenances: Sequence[Maintenance]) -> Declared:
        """Of everything that was declared, what holds at that time."""
        return cls(
            [each for each in silences if each.from_us <= now_us < each.until_us],
            [each for each in maintenances if each.from_us <= now_us < each.until_us],
        )

    def keeps_quiet(self, row: AlertRow, rule: Rule, now_us: int) -> bool:
        """Whether an alert stands without being told. Maintenance explains a silence, never a loss."""
        if rule.quiet is not None and rule.quiet.is_open(now_us):
            return True
        if FACTS[row.kind].excused_by_maintenance and any(matches(each.sites, row.site) for each in self.maintenances):
            return True
        return any(_covers(each, row) for each in self.silences)


def _covers(silence: Silence, row: AlertRow) -> bool:
    of_kind = not silence.kind or silence.kind == row.kind
    return of_kind and matches(silence.sites, row.site) and matches(silence.streams, row.stream)
