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
from tests.disk.hub_disk import hub_disk
from tests.disk.hub_life import HubLife
from tests.disk.hub_verdict import HubJudge
from tests.disk.medium import Medium
from tests.disk.tape import Fault, Plan, Tape
from tests.disk.trying import SIDES, VARIANTS, try_all

STRIDE = 17
STRIDE_OF_SYNCS = 3
"""There are few of them."""


@pytest.mark.parametrize("side", sorted(SIDES))
@pytest.mark.parametrize(("fault", "sticky"), VARIANTS)
def test_a_disk_that_fails_anywhere_costs_nothing_that_was_acknowledged(side: str, fault: Fault, sticky: bool) -> None:
    stride = STRIDE_OF_SYNCS if fault is Fault.GATE else STRIDE
    tried, wrong = try_all(side, fault, sticky=sticky, start=random.SystemRandom().randint(1, stride), stride=stride)
    assert not wrong
    assert tried > 1


async def test_an_answer_rests_on_nothing_that_only_the_systems_cache_has(tmp_path: Path) -> None:
    """The sync of a commit fails; the hub dies, is started again, reads the commit, and calls it stored."""
    tape = Tape()
    (tmp_path / "live").mkdir()
    with hub_disk(tmp_path / "live", tape) as disk:
        life = HubLife(disk, seed=1)
        await life.step(life.add_sites)
        tape.plan = Plan(Fault.GATE, 1)
        assert await life.step(life.deliver)
        await life.step(life.be_killed)
        assert not await life.step(life.deliver_last_again)
        await life.step(life.be_killed)
    medium = Medium()
    for operation in tape.operations:
        medium.apply(operation)
    for draw in range(4):
        (tmp_path / str(draw)).mkdir()
        files = medium.after_power_loss(random.Random(draw))
        assert not await HubJudge(life).judge(files, len(tape), tmp_path / str(draw), to_the_end=True)


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
