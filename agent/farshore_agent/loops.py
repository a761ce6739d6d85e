"""The agent's loops beside its doors and its link. Each does one small thing for ever; an error ends none of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

from farshore_agent.buffer import Buffer
from farshore_agent.delivery import Delivery
from farshore_agent.forward.bell import Bell
from farshore_protocol.ports import Clock

_LOG: Final = logging.getLogger(__name__)
RETRY_S: Final = 5.0
STATUS_EVERY_S: Final = 2.0
EXPIRE_EVERY_S: Final = 300.0
_SEAL_LOOKS: Final = 5
"""How often the sealer looks within the time that a record may wait."""

_WAKE_EVERY_S: Final = 0.5
_SEAL_MIN_S: Final = 0.05
_SEAL_MAX_S: Final = 1.0


async def keep_going(name: str, work: Callable[[], Awaitable[Any]], clock: Clock) -> NoReturn:
    """Run `work` again and again; what goes wrong is logged and tried again after a pause."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - whatever it is, the log has it and the loop goes on
            _LOG.exception("%s failed; trying again", name)
            await clock.sleep(RETRY_S)


async def seal(buffer: Buffer, delivery: Delivery, linger_s: Callable[[], float], full: Bell, clock: Clock) -> NoReturn:
    """Seal what is due, whether the link is up or not, and tell the forwarder; `full` rings: look now."""
    while True:
        await _seal_all(buffer, delivery)
        await full.sleep(clock, min(_SEAL_MAX_S, max(_SEAL_MIN_S, linger_s() / _SEAL_LOOKS)))


async def _seal_all(buffer: Buffer, delivery: Delivery) -> None:
    """One round. A long one is not over before the first batches of it are on their way."""
    sealing = asyncio.ensure_future(buffer.seal_due(link_up=delivery.link_up))
    try:
        while not (await asyncio.wait((sealing,), timeout=_WAKE_EVERY_S))[0]:
            delivery.wake()
    finally:
        sealing.cancel()
    if await sealing:
        delivery.wake()


async def expire(buffer: Buffer, delivery: Delivery, clock: Clock) -> NoReturn:
    """Let go of what is too old, and have tried again what the hub did not take."""
    while True:
        await clock.sleep(EXPIRE_EVERY_S)
        await buffer.expire()
        delivery.wake()


async def scrub(buffer: Buffer, clock: Clock) -> NoReturn:
    """Read through the buffer's file, a little at a time."""
    while True:
        await clock.sleep(await buffer.scrub())


async def write_status(write: Callable[[], Awaitable[None]], clock: Clock) -> NoReturn:
    """Keep the status file fresh, for whoever looks when the agent is gone."""
    while True:
        await write()
        await clock.sleep(STATUS_EVERY_S)
