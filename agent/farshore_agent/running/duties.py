"""What the hub's commands do here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Final, Protocol

from msgspec.structs import replace

from farshore_agent.buffer import Buffer
from farshore_agent.delivery import Delivery
from farshore_agent.errors import NotEnrolled
from farshore_agent.orders.commands import Arguments, BadArgument, Done, Duty
from farshore_agent.orders.state import Book
from farshore_protocol.limits import MAX_SEQUENCE
from farshore_protocol.names import BadName, base_of, check_any_stream

_FLUSH_S: Final = 60
_RENEW_S: Final = 60
_LEVELS: Final = ("debug", "info", "warning", "error")
_LOUD_S: Final = 600
_LOUDEST_S: Final = 86_400


class Host(Protocol):
    """What only the agent as a whole can do."""

    def flush(self) -> Awaitable[None]:
        """Return when the hub has everything."""
        ...

    def support_bundle(self) -> Awaitable[bytes]:
        """See `support.bundle`."""
        ...


class Duties:
    """The commands by name. Arguments are texts; one that is not known is an error, lest it be thought to matter."""

    def __init__(self, host: Host, buffer: Buffer, delivery: Delivery, book: Book) -> None:
        self._host = host
        self._buffer = buffer
        self._delivery = delivery
        self._book = book
        self._calming: asyncio.TimerHandle | None = None

    def by_name(self) -> Mapping[str, Duty]:
        """All of them."""
        return {
            "flush": self.flush,
            "pause": self.pause,
            "resume": self.resume,
            "resend": self.resend,
            "rotate-keys": self.rotate_keys,
            "support-bundle": self.support_bundle,
            "log-level": self.log_level,
        }

    async def flush(self, arguments: Arguments) -> Done:
        """Deliver all that is here; `timeout_s` seconds at most."""
        given = _read(arguments, timeout_s=str(_FLUSH_S))
        timeout_s = _whole(given["timeout_s"], "timeout_s", 1, 3600)
        try:
            async with asyncio.timeout(timeout_s):
                await self._host.flush()
        except TimeoutError:
            raise BadArgument(f"not everything was delivered within {timeout_s} s; it goes on") from None
        return Done("all that was here is with the hub")

    async def pause(self, arguments: Arguments) -> Done:
        """Send nothing of a stream and its companions until it is resumed. It goes on to be collected and kept."""
        stream = _stream(_read(arguments, "stream")["stream"])
        await self._set_paused({*self._book.state.paused, stream})
        return Done(f"{stream} is not sent any more; it goes on to be collected")

    async def resume(self, arguments: Arguments) -> Done:
        """Send it again."""
        stream = _stream(_read(arguments, "stream")["stream"])
        was_paused = stream in self._book.state.paused
        await self._set_paused(set(self._book.state.paused) - {stream})
        self._delivery.wake()
        return Done(f"{stream} is sent again" if was_paused else f"{stream} was not paused")

    async def resend(self, arguments: Arguments) -> Done:
        """Send once more what the hub has of `stream` from `first` to `last`, as far as it is kept here."""
        given = _read(arguments, "stream", "first", "last")
        try:
            stream = check_any_stream(given["stream"])
        except BadName as error:
            raise BadArgument(str(error)) from None
        first = _whole(given["first"], "first", 1, MAX_SEQUENCE)
        last = _whole(given["last"], "last", first, MAX_SEQUENCE)
        batches, records = await self._buffer.resend(stream, first, last)
        self._delivery.wake()
        kept = "" if batches else "; what the hub has of it is not kept here any more, or it waits to be sent anyway"
        return Done(f"{batches} batch(es) with {records} record(s) of {stream} are sent again{kept}")

    async def rotate_keys(self, arguments: Arguments) -> Done:
        """Seal under a new key from now on, and have the certificate renewed with a fresh key."""
        _read(arguments)
        keeper = self._delivery.keeper
        identity = keeper.current
        if identity is None:
            raise keeper.problem or NotEnrolled("there is no identity")
        keeper.ask_renewal("the hub wants fresh keys")
        try:
            async with asyncio.timeout(_RENEW_S):
                # Another identity begins another key epoch by itself.
                await keeper.other_than(identity)
        except TimeoutError:
            await self._delivery.new_epoch()
            why = keeper.problem or "the hub did not answer in time"
            raise BadArgument(f"a new key epoch has begun; the certificate was not renewed yet: {why}") from None
        return Done("a new key epoch has begun, and the certificate was renewed with a fresh key")

    async def support_bundle(self, arguments: Arguments) -> Done:
        """Collect what helps to find out what is wrong; no secrets are in it."""
        _read(arguments)
        bundle = await self._host.support_bundle()
        return Done(f"a ZIP file of {len(bundle)} bytes", bundle)

    async def log_level(self, arguments: Arguments) -> Done:
        """Log at `level` `for` so many seconds, or until the next start."""
        given = _read(arguments, "level", **{"for": str(_LOUD_S)})
        level, seconds = given["level"], _whole(given["for"], "for", 1, _LOUDEST_S)
        if level not in _LEVELS:
            raise BadArgument(f"level is one of {', '.join(_LEVELS)}, not {level!r}")
        if self._calming:
            self._calming.cancel()
        logger = logging.getLogger("farshore_agent")
        logger.setLevel(level.upper())
        after = asyncio.get_running_loop().call_later
        self._calming = after(seconds, logger.setLevel, logging.NOTSET)
        return Done(f"logs at level {level} for {seconds} s")

    async def _set_paused(self, streams: set[str]) -> None:
        state = await self._book.change(lambda state: replace(state, paused=tuple(sorted(streams))))
        await self._buffer.pause(state.paused)


def _read(arguments: Arguments, *needed: str, **defaults: str) -> dict[str, str]:
    given = {**defaults, **arguments}
    if missing := [name for name in needed if name not in given]:
        raise BadArgument(f"the argument {missing[0]} is missing")
    if unknown := [name for name in arguments if name not in {*needed, *defaults}]:
        raise BadArgument(f"the argument {unknown[0]!r} is not known here")
    return given


def _whole(text: str, name: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SEQUENCE)) and low <= int(text) <= high):
        raise BadArgument(f"{name} is a whole number from {low} to {high}, not {text!r}")
    return int(text)


def _stream(text: str) -> str:
    try:
        stream = check_any_stream(text)
    except BadName as error:
        raise BadArgument(str(error)) from None
    if base_of(stream) != stream:
        raise BadArgument(f"{stream} goes with {base_of(stream)}: pause and resume that")
    return stream
