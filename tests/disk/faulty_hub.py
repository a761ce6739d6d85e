"""A short life of a hub in which an operation of the disk fails, or all from one on, until it is well again."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from tests.disk.hub_disk import hub_disk
from tests.disk.hub_life import HubLife
from tests.disk.hub_verdict import HubJudge
from tests.disk.medium import Files, Medium
from tests.disk.tape import Plan, Tape

SEED: Final = 5
TO_THE_END: Final = 4
Step = Callable[[], Awaitable[None]]


def script(life: HubLife) -> list[Step]:
    """Parcels, new and again, and every way to start anew."""
    return [
        life.deliver,
        life.deliver,
        life.be_killed,
        life.deliver_last_again,
        life.deliver,
        life.restart,
        life.deliver_again,
        life.deliver,
        life.be_killed,
        life.deliver_last_again,
    ]


async def faults_of(plan: Plan, folder: Path) -> list[str]:
    """Live through the plan; what is wrong then, after a kill and after a loss of power."""
    place, tape = folder / "live", Tape()
    place.mkdir()
    with hub_disk(place, tape) as disk:
        life = HubLife(disk, SEED)
        assert not await life.step(life.add_sites)
        disk.tape.plan = plan
        for step in script(life):
            await life.step(step)
        plan.is_over = True
        # The disk is well again: nobody restarts anything, and all goes on.
        errors = [await life.step(step) for step in (life.deliver, life.deliver_again)]
        wrong = [f"it does not go on: {error}" for error in errors if error]
        killed = _files(disk.folder)
        await life.step(life.be_killed)
    for name, files in (("killed", killed), ("without power", _after_power_loss(tape, plan))):
        where = folder / name
        where.mkdir()
        faults = await HubJudge(life).judge(files, len(tape), where, to_the_end=plan.at % TO_THE_END == 0)
        wrong += [f"{name}: {each}" for each in faults]
    return wrong


def _files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def _after_power_loss(tape: Tape, plan: Plan) -> Files:
    medium = Medium()
    for operation in tape.operations:
        medium.apply(operation)
    # What was not synced is gone: the harshest answer to a sync that failed.
    return medium.after_power_loss(random.Random(plan.at))
