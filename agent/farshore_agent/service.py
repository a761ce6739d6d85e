"""The agent as a service: with its inputs, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Final

from farshore_agent.app import Agent
from farshore_agent.control import SOCKET
from farshore_agent.errors import AgentError
from farshore_agent.recent_log import RecentLog
from farshore_agent.settings.layers import LocalFile
from farshore_shell.supervisor import Supervisor

_LOG: Final = logging.getLogger(__name__)
_DOORS_OPEN_S: Final = 10.0
"""A door that is not open after that, as when a plugin fails again and again, keeps the others from nothing."""


async def run_agent(
    local: LocalFile,
    *,
    tell: Callable[[str], None] = print,
    supervisor: Supervisor | None = None,
    recent_log: RecentLog | None = None,
) -> None:
    """Run the agent with its inputs until SIGTERM or SIGINT; `tell` gets a line for whatever is open.

    The `supervisor`, by default nobody, hears when all doors are open, that the loop turns, and when it is to end.

    Raises:
        AgentError: the state folder, the buffer or a door cannot be used.
    """
    supervisor = supervisor or Supervisor()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with supervisor.alive(), Agent.started(local, forward=True) as agent:
        agent.recent_log = recent_log or agent.recent_log
        await _serve(agent, local, stop, tell, supervisor)
    tell("stopped")


async def _serve(
    agent: Agent, local: LocalFile, stop: asyncio.Event, tell: Callable[[str], None], supervisor: Supervisor
) -> None:
    inputs, settings = agent.running.inputs, agent.running.settings
    opening = _Opening(len(settings.inputs), tell, lambda: supervisor.ready(_about_link(agent)))
    inputs.tell, inputs.own = opening.opened, local.settings.inputs
    await agent.running.collect()
    tell(f"control {settings.state_dir / SOCKET}")
    tell(_about_link(agent))
    opening.begin()
    stopping = asyncio.create_task(stop.wait(), name="signals")
    failing = asyncio.create_task(inputs.failed(), name="inputs")
    try:
        await asyncio.wait((stopping, failing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        supervisor.stopping()
        stopping.cancel()
        failing.cancel()
        await asyncio.wait((stopping, failing))
        await inputs.stop()
    if not failing.cancelled() and (error := failing.exception()):
        raise error
    _LOG.info("stopping: the doors are closed")


class _Opening:
    """Counts doors until all are open, or until it has taken too long, and then says so once."""

    def __init__(self, doors: int, tell: Callable[[str], None], ready: Callable[[], None]) -> None:
        self._closed = doors
        self._tell = tell
        self._ready = ready

    def begin(self) -> None:
        asyncio.get_running_loop().call_later(_DOORS_OPEN_S if self._closed else 0, self._ready)

    def opened(self, line: str) -> None:
        self._tell(line)
        self._closed -= 1
        if not self._closed:
            self._ready()


def _about_link(agent: Agent) -> str:
    keeper = agent.delivery.keeper
    if keeper.current is None:
        problem: AgentError | str = keeper.problem or "not enrolled"
        return f"link: none, records are kept here: {problem}"
    return f"link: {keeper.current.site} to {', '.join(keeper.addresses(keeper.current))}"
