"""What a fuzz target is: a decoder, seeds of real data, and a function that states what holds for any bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

Run = Callable[[bytes], None]
"""Decodes the bytes. Returns whatever they are: only documented errors are caught, all else is a finding."""

Seeds = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Target:
    """One decoder under test.

    Attributes:
        name: of its folder in the corpus too.
        run: the properties.
        seeds: where a fuzzer starts: real data, small.
        max_bytes: of one input; longer ones find nothing that shorter ones do not.
    """

    name: str
    run: Run
    seeds: Seeds
    max_bytes: int

    @property
    def room(self) -> str:
        """The module that has it, such as `columns`."""
        return self.run.__module__.rpartition(".")[2]


TARGETS: Final[dict[str, Target]] = {}
"""By name, as far as the modules of `targets` are imported."""


def target(*, seeds: Seeds, max_bytes: int = 4096) -> Callable[[Run], Run]:
    """Makes a function a target of its name."""

    def register(run: Run) -> Run:
        TARGETS[run.__name__] = Target(run.__name__, run, seeds, max_bytes)
        return run

    return register
