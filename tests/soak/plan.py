"""What is done to a process and when: drawn beforehand from a seed, so that a run's plan can be had again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

_LONGEST_LIFE_S: Final = 0.8
_SHARE_KILLED_WHILE_STARTING: Final = 0.3
_SHARE_FROZEN: Final = 0.15
_LONGEST_FREEZE_S: Final = 1.5
_SHARE_TOGETHER: Final = 0.25


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens to a process that runs. All times are in seconds.

    Attributes:
        life_s: how long it works before anything happens.
        frozen_s: how long it is stopped (SIGSTOP) before it may go on, or is killed; 0 is not at all.
        killed: it is killed; otherwise it goes on after the freeze.
        starts_s: each start of the next ones is killed after such a time; the start after them may come to its end.
        together: of the hub only: a site's agent is killed at the same moment.
    """

    life_s: float
    frozen_s: float = 0.0
    killed: bool = True
    starts_s: tuple[float, ...] = ()
    together: bool = False


def draw_strike(chance: random.Random, *, longest_start_s: float, is_hub: bool) -> Strike:
    """The next strike. `longest_start_s` is about what an undisturbed start takes, or a little more."""
    life_s = chance.uniform(0, _LONGEST_LIFE_S)
    frozen_s = chance.uniform(0, _LONGEST_FREEZE_S) if chance.random() < _SHARE_FROZEN else 0.0
    killed = not frozen_s or chance.random() < 0.5
    starts: list[float] = []
    while killed and chance.random() < _SHARE_KILLED_WHILE_STARTING:
        starts.append(chance.uniform(0, longest_start_s))
    together = is_hub and killed and chance.random() < _SHARE_TOGETHER
    return Strike(life_s, frozen_s, killed, tuple(starts), together)
