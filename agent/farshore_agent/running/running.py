"""The rooms under the settings in force. New settings reach only what differs, and never what the buffer holds."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator

from farshore_agent.buffer import Buffer
from farshore_agent.delivery import Delivery
from farshore_agent.running.inputs import Inputs
from farshore_agent.running.tables import Tables
from farshore_agent.settings import AgentSettings, StreamPolicies


class Running:
    """Takes other settings while everything runs; a `House` of the orders' steward.

    Attributes:
        settings: in force. What cannot change (`state_dir`) is the same in all.
        more_troubles: what else is wrong, a line each.
    """

    def __init__(
        self,
        settings: AgentSettings,
        *,
        buffer: Buffer,
        policies: StreamPolicies,
        delivery: Delivery,
        inputs: Inputs,
        tables: Tables,
    ) -> None:
        self.settings = settings
        self._buffer = buffer
        self._policies = policies
        self._delivery = delivery
        self.inputs = inputs
        self.tables = tables
        self._collects = self._is_half_done = False
        self.more_troubles: Callable[[], Iterable[str]] = tuple

    async def collect(self) -> None:
        """Start the inputs, which nobody has asked for before."""
        self._collects = True
        await self.inputs.use(self.settings.inputs)

    async def use(self, settings: AgentSettings) -> None:
        """Go on under these settings.

        Raises:
            AgentError, OSError: some of it failed. All of it has to be applied again, or all of other settings.
        """
        before, everything = self.settings, self._is_half_done
        self.settings, self._is_half_done = settings, True
        if everything or _of_buffer(before) != _of_buffer(settings):
            self._policies.become(settings.policies())
            await self._buffer.use(settings.buffer, settings.seal)
        if everything or before.forward != settings.forward:
            await self._delivery.use(settings.forward)
        await self.tables.use(settings.tables)
        if self._collects:
            await self.inputs.use(settings.inputs)
        self._is_half_done = False

    def objections(self, settings: AgentSettings) -> Iterator[str]:
        """Why this machine cannot have these settings, valid as they are."""
        bound, now = settings.buffer.max_bytes, self.settings.buffer.max_bytes
        free = shutil.disk_usage(settings.state_dir).free
        if bound > now and bound - now > free:
            yield f"buffer.max_bytes: the disk has room for {free} bytes more, this would take {bound - now}"

    def troubles(self) -> list[str]:
        """What is wrong now, a line each."""
        return [*self.inputs.troubles(), *self.tables.troubles(), *self.more_troubles()]

    @property
    def link_up(self) -> bool:
        """Whether the last exchange with the hub succeeded."""
        return self._delivery.link_up

    def ask_hub(self) -> None:
        """Have the hub asked for an answer soon."""
        self._delivery.ask_hub()

    @property
    def answers(self) -> int:
        """How many times the hub has answered."""
        return self._delivery.report.exchanges["answered"]


def _of_buffer(settings: AgentSettings) -> tuple[object, ...]:
    """What the buffer and the doors go by."""
    undeclared = (settings.accept_undeclared, settings.max_streams)
    tables = {name: each.priority for name, each in settings.tables.items()}
    return settings.buffer, settings.seal, settings.streams, settings.stream_defaults, undeclared, tables
