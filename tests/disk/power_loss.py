"""Cuts the power after any operation, again and again, and counts what is lost: `make powerloss STATES=… SEED=…`.

A state is named by its life's seed, the operation after which the power went, and a draw of what the caches lost; the
name alone brings it back: `--life 17 --after 1234 --draw 0`.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import click

from tests.disk import buffer_side, hub_side
from tests.disk.medium import Files, Medium, Operation
from tests.disk.scratch import scratch

STATES_PER_LIFE: Final = 400
SHOWN: Final = 5
CONTROL_PART: Final = 20
TO_THE_END: Final = 16
"""Every so many states, everything is also brought to its destination."""


class State(NamedTuple):
    """One content that a disk can be left with."""

    life: int
    after: int
    draw: int

    def chance(self) -> random.Random:
        """What decides which writes survive."""
        return random.Random(f"{self.life}/{self.after}/{self.draw}")


class Lived(Protocol):
    """A life that is over: what it did to its disk, and who can judge what is left of it."""

    operations: list[Operation]

    def judge(self, files: Files, after: int, folder: Path, *, to_the_end: bool) -> list[str]:
        """Name what is wrong with these files, if the power went after so many operations."""


Live = Callable[[int, Path, str], Lived]
"""Lives one life, from a seed, in an empty folder, with this `synchronous`."""

SIDES: Final[Mapping[str, Live]] = {"agent": buffer_side.live, "hub": hub_side.live}


@dataclass(slots=True)
class Figures:
    """What came of many states; faults by state."""

    states: int = 0
    lives: int = 0
    operations: int = 0
    seconds: float = 0.0
    faulty: dict[State, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        kinds = Counter(fault.split(":")[0] for faults in self.faulty.values() for fault in set(faults[:1]))
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "none"
        rate = self.states / max(self.seconds, 0.001)
        return (
            f"{self.states} states of {self.lives} lives ({self.operations} operations), {rate:.0f} states/s, "
            f"faulty: {len(self.faulty)} ({said})"
        )

    def told(self, side: str) -> str:
        """The same, and how to look at the first faulty states again."""
        ways = (
            f"python -m tests.disk.power_loss --side {side} --life {state.life} --after {state.after} "
            f"--draw {state.draw}: {'; '.join(faults[:SHOWN])}"
            for state, faults in islice(self.faulty.items(), SHOWN)
        )
        return "\n  ".join([str(self), *ways])


def survey(side: str, states: int, seed: int, *, synchronous: str = "FULL") -> Figures:
    """Look at so many states of as many lives as it takes."""
    figures, began = Figures(), time.monotonic()
    while figures.states < states:
        _survey_life(SIDES[side], seed + figures.lives, states - figures.states, synchronous, figures)
    figures.seconds = time.monotonic() - began
    return figures


def _survey_life(live: Live, seed: int, states: int, synchronous: str, figures: Figures) -> None:
    with scratch() as folder:
        lived = live(seed, folder, synchronous)
        ends = range(1, len(lived.operations) + 1)
        chosen = sorted(random.Random(seed).choices(ends, k=min(states, STATES_PER_LIFE)))
        drawn: Counter[int] = Counter()
        for after, medium in _cut(lived.operations, chosen):
            state = State(seed, after, drawn[after])
            drawn[after] += 1
            faults = _judge(lived, medium, state, folder, to_the_end=figures.states % TO_THE_END == 0)
            figures.states += 1
            if faults:
                figures.faulty[state] = faults
        figures.lives += 1
        figures.operations += len(lived.operations)


def look_at(side: str, state: State, *, synchronous: str = "FULL") -> list[str]:
    """One state again."""
    with scratch() as folder:
        lived = SIDES[side](state.life, folder, synchronous)
        [(_, medium)] = _cut(lived.operations, [state.after])
        return _judge(lived, medium, state, folder, to_the_end=True)


def _cut(operations: list[Operation], chosen: list[int]) -> Iterator[tuple[int, Medium]]:
    medium, done = Medium(), 0
    for after in chosen:
        for operation in operations[done:after]:
            medium.apply(operation)
        done = after
        yield after, medium


def _judge(lived: Lived, medium: Medium, state: State, folder: Path, *, to_the_end: bool) -> list[str]:
    files = medium.after_power_loss(state.chance())
    with scratch(folder) as place:
        return lived.judge(files, state.after, place, to_the_end=to_the_end)


@click.command(help=__doc__)
@click.option("--states", default=2000, show_default=True, help="How many of each side.")
@click.option("--seed", type=int, default=None, help="Of the first life; another one each time if it is left out.")
@click.option("--side", "sides", type=click.Choice(sorted(SIDES)), multiple=True, default=sorted(SIDES))
@click.option("--life", type=int, default=None, help="With --after and --draw: one state again.")
@click.option("--after", default=1)
@click.option("--draw", default=0)
def main(states: int, seed: int | None, sides: tuple[str, ...], life: int | None, after: int, draw: int) -> None:
    """Print the figures of the sides, and of the controls, which must lose; 1 if a side lost or a control did not."""
    # The controls damage files, and the buffer would say so each time.
    logging.disable()
    if life is not None:
        said = {side: look_at(side, State(life, after, draw)) for side in sides}
        for side, faults in said.items():
            click.echo(f"{side}: {faults or 'nothing is wrong'}")
        sys.exit(any(said.values()))
    first = random.SystemRandom().getrandbits(24) if seed is None else seed
    sys.exit(not all([_report(side, states, first) for side in sides]))  # noqa: C419 - all of them, whatever was first


def _report(side: str, states: int, seed: int) -> bool:
    shipped = survey(side, states, seed)
    click.echo(f"{side}, as shipped, from seed {seed}: {shipped.told(side)}")
    is_seen = True
    for level in ("NORMAL", "OFF"):
        control = survey(side, max(100, states // CONTROL_PART), seed, synchronous=level)
        click.echo(f"{side}, control, synchronous={level}: {control}")
        is_seen = is_seen and bool(control.faulty)
    return is_seen and not shipped.faulty


if __name__ == "__main__":
    main()
