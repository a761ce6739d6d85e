"""A short life of a buffer in which an operation of the disk fails, or all from one on, until it is well again."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from tests.disk.agent_disk import agent_disk
from tests.disk.buffer_life import Life
from tests.disk.buffer_verdict import Judge
from tests.disk.medium import Files, Medium
from tests.disk.tape import Plan, Tape

SEED: Final = 3
NOISE: Final = (0, 40, 200)
"""Bytes of a record: few pages, so that there are few operations."""

TO_THE_END: Final = 4
Step = Callable[[], Awaitable[None]]


def script(life: Life) -> list[Step]:
    """A little of everything that writes."""
    return [
        life.append,
        life.append,
        life.seal_all,
        life.send,
        life.append,
        life.be_killed,
        life.append,
        life.grow_older,
        life.send,
        life.restart,
        life.append,
    ]


async def faults_of(plan: Plan, folder: Path) -> list[str]:
    """Live through the plan; what is wrong then, after a kill and after a loss of power."""
    place = folder / "live"
    place.mkdir()
    with agent_disk(place, Tape(plan)) as disk:
        life = Life(disk, SEED, noise=NOISE)
        for step in script(life):
            await life.step(step)
        plan.is_over = True
        # The disk is well again: nobody restarts anything, and all goes on.
        errors = [await life.step(step) for step in (life.expire, life.append, life.seal_all, life.send)]
        await life.step(life.be_killed)
        wrong = [f"it does not go on: {error}" for error in errors if error]
        judge, done = Judge(life), len(disk.tape)
        for name, files in (("killed", _files(disk.folder)), ("without power", _after_power_loss(disk.tape, plan))):
            where = folder / name
            where.mkdir()
            wrong += [
                f"{name}: {each}"
                for each in await judge.judge(files, done, where, to_the_end=plan.at % TO_THE_END == 0)
            ]
    return wrong


def _files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name in ("buffer.db", "buffer.db-wal")}


def _after_power_loss(tape: Tape, plan: Plan) -> Files:
    medium = Medium()
    for operation in tape.operations:
        medium.apply(operation)
    return medium.after_power_loss(random.Random(plan.at))
