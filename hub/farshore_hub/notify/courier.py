"""The courier: takes messages from the outbox to their channels, again and again until they arrive or are too old.

At least once: after a crash between a delivery and its note the same message goes out once more, under the same key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Engine

from farshore_hub.notify.channel import Channel, NotDelivered
from farshore_hub.store import messages
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.messages import Message
from farshore_protocol.ports import Clock, Random, Runner

TICK_S: Final = 1.0
FIRST_PAUSE_S: Final = 5
LONGEST_PAUSE_S: Final = 3600
MOST_AT_ONCE: Final = 20
MOST_REFUSALS: Final = 5
"""After so many attempts a message that the receiver does not want lets the next ones pass."""

MAX_FAULT_CHARS: Final = 300
_DOUBLINGS: Final = 10
_US_PER_S: Final = 1_000_000
_log: Final = logging.getLogger(__name__)


class Courier:
    """Delivers while `is_ours` says that this process has the duty."""

    def __init__(
        self,
        engine: Engine,
        channels: Sequence[Channel],
        clock: Clock,
        random: Random,
        runner: Runner,
        is_ours: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._clock = clock
        self._random = random
        self._runner = runner
        self._is_ours = is_ours

    async def run(self) -> None:
        """Deliver what waits, until cancelled. A channel that hangs holds up no other."""
        async with asyncio.TaskGroup() as tasks:
            for channel in self._channels:
                tasks.create_task(self._serve(channel), name=channel.name)
            # Without a channel there is nothing to do, for ever.
            tasks.create_task(asyncio.Event().wait())

    async def _serve(self, channel: Channel) -> None:
        while True:
            if self._is_ours():
                await self.deliver(channel)
            await self._clock.sleep(TICK_S)

    async def deliver(self, channel: Channel) -> None:
        """Deliver what is due now, in order, up to the first failure: nobody hears of an end before the beginning."""
        for message in await self._runner(lambda: self._due(channel)):
            try:
                await channel.send(message)
            except NotDelivered as error:
                await self._runner(lambda message=message, error=error: self._failed(message, error))  # type: ignore[misc]
                return
            await self._runner(lambda message=message: self._delivered(message))  # type: ignore[misc]

    def _due(self, channel: Channel) -> list[Message]:
        with reading(self._engine) as connection:
            return messages.due(connection, channel.name, self._clock.now_us(), MOST_AT_ONCE)

    def _delivered(self, message: Message) -> None:
        with writing(self._engine) as connection:
            messages.delivered(connection, message.id, self._clock.now_us())

    def _failed(self, message: Message, error: NotDelivered) -> None:
        fault, pause_s = str(error)[:MAX_FAULT_CHARS], self._pause_s(message.attempts, error.retry_after_s)
        _log.warning("%s was not told (attempt %s): %s", message.channel, message.attempts + 1, fault)
        with writing(self._engine) as connection:
            if error.is_refusal and message.attempts + 1 >= MOST_REFUSALS:
                messages.end_one(connection, message.id, fault, self._clock.now_us())
            else:
                messages.failed(connection, message.id, fault, self._clock.now_us() + int(pause_s * _US_PER_S))

    def _pause_s(self, attempts: int, retry_after_s: int | None) -> float:
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempts, _DOUBLINGS))
        drawn = self._random.uniform(longest / 2, longest)
        return max(drawn, retry_after_s or 0)
