"""When an alert is raised and when it is over, so that it does not flap.

Two levels and two times. The value has to stay at or over `raise_at` for `after_s` to raise, and under `clear_below`
for `clear_after_s` to clear; between the levels nothing changes. Time counts only while somebody looks: after a pause
of the hub, or a jump of its clock, the waiting begins anew.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

_US_PER_S = 1_000_000


class Phase(enum.StrEnum):
    """Where a subject stands."""

    QUIET = "quiet"
    """Nothing to tell."""
    RISING = "rising"
    """Bad, and not for long enough yet."""
    RAISED = "raised"
    """Somebody is told."""
    FALLING = "falling"
    """Good again, and not for long enough yet."""

    @property
    def is_up(self) -> bool:
        """Whether somebody was told, and not yet that it is over."""
        return self in (Phase.RAISED, Phase.FALLING)


@dataclass(frozen=True, slots=True)
class Levels:
    """Of one rule. `clear_below <= raise_at`; times in seconds."""

    raise_at: float
    clear_below: float
    after_s: int
    clear_after_s: int

    def __post_init__(self) -> None:
        if self.clear_below > self.raise_at:
            raise ValueError(f"it would be cleared at {self.clear_below} and raised at {self.raise_at} at once")


@dataclass(frozen=True, slots=True)
class Standing:
    """A subject's phase, since when (the hub's clock), and what the waiting is about.

    Attributes:
        mark: what was bad; when something else is bad instead, the waiting begins anew.
    """

    phase: Phase = Phase.QUIET
    since_us: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a subject; no value is nothing bad at all.

    Attributes:
        may_raise: False while the hub cannot know whether it is the one to blame.
        unbroken: somebody looked a short time ago too, by the same clock.
    """

    value: float | None
    now_us: int
    mark: str = ""
    may_raise: bool = True
    unbroken: bool = True


QUIET = Standing()


def step(standing: Standing, look: Look, levels: Levels) -> Standing:
    """The standing after a look."""
    value = look.value
    is_bad = value is not None and value >= levels.raise_at
    is_good = value is None or value < levels.clear_below
    if standing.phase.is_up:
        return _while_up(standing, look, levels, is_good=is_good)
    if not is_bad:
        return QUIET
    begun = standing.phase is Phase.RISING and standing.mark == look.mark and look.unbroken
    rising = standing if begun else Standing(Phase.RISING, look.now_us, look.mark)
    if look.may_raise and _waited_s(rising, look) >= levels.after_s:
        return Standing(Phase.RAISED, look.now_us, look.mark)
    return rising


def _while_up(standing: Standing, look: Look, levels: Levels, *, is_good: bool) -> Standing:
    if not is_good:
        # Between the levels what began to fall waits from the start once it is good again.
        return (
            standing if standing.phase is Phase.RAISED else replace(standing, phase=Phase.RAISED, since_us=look.now_us)
        )
    begun = standing.phase is Phase.FALLING and look.unbroken
    falling = standing if begun else replace(standing, phase=Phase.FALLING, since_us=look.now_us)
    return QUIET if _waited_s(falling, look) >= levels.clear_after_s else falling


def _waited_s(standing: Standing, look: Look) -> float:
    return (look.now_us - standing.since_us) / _US_PER_S
