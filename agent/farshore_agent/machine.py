"""What an agent takes from the machine that it runs on: clock, randomness, threads, processes, the road to the hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from farshore_agent.identity.road import Road, TlsRoad
from farshore_agent.orders.describe import describe, describe_apart
from farshore_protocol.ports import Runner
from farshore_shell.system import ThreadRunner, World, real_world


@dataclass(frozen=True, slots=True)
class Machine:
    """What an agent takes from the machine that it runs on. The simulation hands in its own.

    Attributes:
        road: to the hub.
        worker: a thread for the work of that name, for as long as the agent lives.
        describe: makes the schema of the settings that hubs are told; it may be kept in the folder.
    """

    world: World
    road: Road
    worker: Callable[[str], AbstractContextManager[Runner]]
    describe: Callable[[Path], Awaitable[bytes]] = describe


def real_machine() -> Machine:
    """This one."""
    world = real_world()
    return Machine(world, TlsRoad(world.clock), _thread, describe_apart)


@contextmanager
def _thread(name: str) -> Iterator[Runner]:
    runner = ThreadRunner(name)
    try:
        yield runner
    finally:
        runner.close()
