"""Rollouts: in which stage a site takes part, and what is to be done next. Pure.

A stage is over when every site in it that can be reached has reported, none of the strategy's halts is met, and nothing
has changed for the soak time. Sites that are away hold nothing up: their order waits for them.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MAX_STAGES: Final = 20
_SHARE: Final = re.compile(r"([0-9]{1,9})(%?)")
_ALL: Final = 100
_US_PER_S: Final = 1_000_000


class RolloutState(enum.StrEnum):
    """How a rollout stands."""

    RUNNING = "running"
    PAUSED = "paused"
    """A person has stopped it."""
    HALTED = "halted"
    """It has stopped itself."""
    ABORTED = "aborted"
    DONE = "done"
    """Every site has its order; those that were away take part when they return."""


LIVE: Final = (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED)


class Part(enum.StrEnum):
    """What has become of one site in a rollout."""

    WAITING = "waiting"
    """It has no order yet: its stage has not come, or it has not introduced itself."""
    SAME = "same"
    """Its settings say so already; it needs no order."""
    INVALID = "invalid"
    """Its settings cannot be made, or it would refuse them."""
    ORDERED = "ordered"
    PROBING = "probing"
    KEPT = "kept"
    REFUSED = "refused"
    ROLLED_BACK = "rolled-back"
    REPLACED = "replaced"
    """A later order came in its place."""


FAILED: Final = (Part.INVALID, Part.REFUSED, Part.ROLLED_BACK)
_OUTSTANDING: Final = (Part.WAITING, Part.ORDERED, Part.PROBING)
_REPORTED: Final = (Part.PROBING, Part.KEPT)


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a rollout goes.

    Attributes:
        stages: how many sites have it after each, as a number or a share: `5`, `25%`. The last one is `100%`.
        soak_s: for how long nothing may change before the next stage.
        halt: by condition (`failed`, `silent`, `gaps`) how many sites meet it for the rollout to stop.
        silent_after_s: a site that was not heard for so long is away; and silent, if it had the order before.
        again: settings that a site has refused or rolled back are ordered once more.
    """

    stages: tuple[str, ...] = ("100%",)
    soak_s: int = 0
    halt: Mapping[str, int] = field(default_factory=lambda: {"failed": 1})
    silent_after_s: int = 900
    again: bool = False


HALTS: Final = {
    "failed": "refused the settings or rolled them back",
    "silent": "fell silent after the order",
    "gaps": "miss records that were not missing before",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One site in a rollout. Times are microseconds since 1970.

    Attributes:
        stage: in which it takes part, from 0.
        settled_us: when it reported for good.
        ordered_us: when its order was made.
        heard_us: when it was heard last.
        new_gaps: records are missing that were not when it was ordered.
    """

    stage: int
    part: Part
    settled_us: int | None = None
    ordered_us: int | None = None
    heard_us: int | None = None
    new_gaps: bool = False


class Move(enum.StrEnum):
    """What to do with a rollout."""

    WAIT = "wait"
    ADVANCE = "advance"
    HALT = "halt"
    END = "end"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next, and why."""

    move: Move
    why: str


def check_strategy(strategy: Strategy) -> str:
    """What is wrong with a strategy, or nothing."""
    if not 1 <= len(strategy.stages) <= MAX_STAGES:
        return f"a rollout has 1 to {MAX_STAGES} stages"
    for text in strategy.stages:
        share = _SHARE.fullmatch(text)
        if not share or int(share[1]) < 1 or (share[2] and int(share[1]) > _ALL):
            return f"{text[:20]!r} is no stage: write a number of sites as in 5, or a share as in 25%"
    if strategy.stages[-1] != "100%":
        return "the last stage is 100%"
    for name, limit in strategy.halt.items():
        if name not in HALTS or limit < 1:
            return f"{name[:40]}={limit} halts nothing: there are {', '.join(HALTS)}, each with the number of sites"
    return ""


def stages_of(strategy: Strategy, names: Sequence[str], here: Collection[str], seed: str) -> dict[str, int]:
    """The stage of each site: those that are here first, else by lot, so that a canary is no neighbour of the next."""
    lot = sorted(names, key=lambda name: (name not in here, hashlib.sha256(f"{seed} {name}".encode()).digest()))
    bounds = [_count(text, len(lot)) for text in strategy.stages]
    return {name: next(stage for stage, bound in enumerate(bounds) if place < bound) for place, name in enumerate(lot)}


def decide(strategy: Strategy, stage: int, since_us: int, members: Iterable[Member], now_us: int) -> Step:
    """The next step of a running rollout.

    Args:
        strategy: how it goes.
        stage: the one that it is in.
        since_us: when that began.
        members: its sites; those of later stages do not count.
        now_us: the hub's clock.
    """
    released = [each for each in members if each.stage <= stage]
    if why := _halting(strategy, released, now_us):
        return Step(Move.HALT, why)
    missing = sum(each.part in _OUTSTANDING and not _is_away(strategy, each, now_us) for each in released)
    if missing:
        return Step(Move.WAIT, f"{missing} sites of stage {stage + 1} have not reported for good")
    own = [each for each in released if each.stage == stage]
    if own and all(each.part in _OUTSTANDING for each in own):
        return Step(Move.WAIT, f"no site of stage {stage + 1} has been heard")
    quiet_us = max([since_us, *(each.settled_us for each in released if each.settled_us is not None)])
    left_s = strategy.soak_s - (now_us - quiet_us) // _US_PER_S
    if left_s > 0:
        return Step(Move.WAIT, f"stage {stage + 1} soaks for {left_s} s more")
    if stage + 1 < len(strategy.stages):
        return Step(Move.ADVANCE, f"stage {stage + 1} is over")
    return Step(Move.END, _summary(released))


def _halting(strategy: Strategy, released: list[Member], now_us: int) -> str:
    counts = {
        "failed": sum(each.part in FAILED for each in released),
        "silent": sum(_is_silent(strategy, each, now_us) for each in released),
        "gaps": sum(each.new_gaps for each in released),
    }
    met = [name for name in HALTS if name in strategy.halt and counts[name] >= strategy.halt[name]]
    return "; ".join(f"{counts[name]} sites {HALTS[name]} ({name}={strategy.halt[name]})" for name in met)


def _is_away(strategy: Strategy, member: Member, now_us: int) -> bool:
    return member.heard_us is None or now_us - member.heard_us > strategy.silent_after_s * _US_PER_S


def _is_silent(strategy: Strategy, member: Member, now_us: int) -> bool:
    """Whether it was there when it had the order, and is away since."""
    if member.ordered_us is None or member.heard_us is None:
        return False
    had_it = member.heard_us >= member.ordered_us or member.part in _REPORTED
    return had_it and _is_away(strategy, member, now_us)


def _count(text: str, of: int) -> int:
    share = _SHARE.fullmatch(text)
    assert share  # noqa: S101 - `check_strategy` saw it
    return -(-int(share[1]) * of // _ALL) if share[2] else int(share[1])


def _summary(members: list[Member]) -> str:
    kept = sum(each.part in (Part.KEPT, Part.SAME) for each in members)
    return f"{kept} of {len(members)} sites have the settings" + (
        "; the others take part when they return" if kept < len(members) else ""
    )
