"""Makes one operation of a disk fail after the other, and says what was wrong after which."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.disk import faulty_hub, faulty_life
from tests.disk.scratch import scratch
from tests.disk.tape import Fault, Plan

Live = Callable[[Plan, Path], Awaitable[list[str]]]
"""Lives through a plan in an empty folder; what was wrong."""

SIDES: Final[Mapping[str, Live]] = {"agent": faulty_life.faults_of, "hub": faulty_hub.faults_of}

VARIANTS: Final = [
    *((fault, sticky) for fault in (Fault.EIO, Fault.FULL, Fault.SHORT) for sticky in (False, True)),
    (Fault.GATE, False),
    (Fault.GATE, True),
]


def plans(fault: Fault, *, sticky: bool, start: int = 1, stride: int = 1) -> Iterator[Plan]:
    """One plan after the other, until one is no longer met."""
    at = start
    while True:
        plan = Plan(fault, at, sticky)
        yield plan
        if not plan.was_met:
            return
        at += stride


def try_all(
    side: str, fault: Fault, *, sticky: bool, start: int = 1, stride: int = 1
) -> tuple[int, dict[int, list[str]]]:
    """How many operations were made to fail, and by operation what was wrong after it."""
    tried, wrong = 0, {}
    for plan in plans(fault, sticky=sticky, start=start, stride=stride):
        with scratch() as folder:
            faults = asyncio.run(_live(SIDES[side], plan, folder))
        tried += plan.was_met
        if faults:
            wrong[plan.at] = faults
    return tried, wrong


async def _live(live: Live, plan: Plan, folder: Path) -> list[str]:
    return await live(plan, folder)
