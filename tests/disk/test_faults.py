"""Any operation of the disk fails, once or from then on: it is said so, nothing acknowledged is lost, and all goes on.

Some operations of each kind, others in every run; `make diskfaults` tries every one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farshore_agent.errors import BufferBroken
from tests.agent.buffer.world import FakeHub, admitted, drain, readings
from tests.disk.agent_disk import AgentDisk, agent_disk
from tests.disk.buffer_life import world_on
from tests.disk.faulty_life import VARIANTS, try_all
from tests.disk.tape import Fault, Plan, Tape

STRIDE = 17


@pytest.mark.parametrize(("fault", "sticky"), VARIANTS)
def test_a_disk_that_fails_anywhere_costs_nothing_that_was_acknowledged(fault: Fault, sticky: bool) -> None:
    start = random.SystemRandom().randint(1, STRIDE)
    tried, wrong = try_all(fault, sticky=sticky, start=start, stride=STRIDE)
    assert not wrong
    assert tried > 1


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[AgentDisk]:
    (tmp_path / "live").mkdir()
    with agent_disk(tmp_path / "live", Tape()) as disk:
        yield disk


def noisy(count: int) -> list[dict[str, Any]]:
    chance = random.Random(count)
    return [{"n": n, "noise": chance.randbytes(3000)} for n in range(count)]


async def test_what_failing_commits_leave_in_the_log_is_never_taken_for_damage(disk: AgentDisk) -> None:
    """Each shorter than the one before, so that the log ends in the commits of all of them."""
    world = world_on(disk)
    hub = FakeHub(world)
    buffer = await world.open()
    await buffer.append("refusing", admitted(readings(0, 5)))
    disk.tape.plan = Plan(Fault.EIO_OF_SYNC, 1, sticky=True)
    for count in (9, 6, 3):
        with pytest.raises(BufferBroken):
            await buffer.append("refusing", admitted(noisy(count)))
    disk.tape.plan = None
    answer = await buffer.append("refusing", admitted(readings(5, 5)))
    world.path = disk.kill(world.path)
    again = await world.open()
    assert (await again.status()).repairs == []
    await drain(again, hub)
    stored = [hub.records[buffer.incarnation, "refusing", n] for n in range(1, answer.last + 1)]
    assert stored == readings(0, 10)
    await again.close()
