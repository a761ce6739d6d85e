"""Whether settings that were just applied are kept. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from farshore_agent.orders.state import Trial


class Step(enum.Enum):
    """What to do with a trial."""

    WAIT = enum.auto()
    KEEP = enum.auto()
    ROLL_BACK = enum.auto()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the site sees of itself.

    Attributes:
        passed_s: since the settings were applied, or since the start of an agent that goes on with the trial.
        has_answer: whether the hub has answered in that time.
        troubles: what is wrong now, a line each.
    """

    passed_s: float
    has_answer: bool
    troubles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The step, and the reasons where it is to roll back."""

    step: Step
    reasons: tuple[str, ...] = ()


def judge(trial: Trial, seen: Seen) -> Verdict:
    """What becomes of the trial now.

    What was wrong before is not the new settings' fault: only a link that was up has to answer, and only troubles that
    are new count. A new trouble ends the trial at once; the hub has the whole time to answer.
    """
    fresh = tuple(trouble for trouble in seen.troubles if trouble not in trial.troubles)
    if fresh:
        return Verdict(Step.ROLL_BACK, fresh)
    if seen.passed_s < trial.probe_s:
        return Verdict(Step.WAIT)
    if trial.link_was_up and not seen.has_answer and trial.probe_s:
        return Verdict(Step.ROLL_BACK, (f"the hub was not reached for {trial.probe_s} s",))
    return Verdict(Step.KEEP)
