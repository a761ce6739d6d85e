"""Tells open pages what has changed: server-sent events, bounded, and over when the session is.

A page is made of *pieces*: elements with an id, and of lists of them. An event carries the pieces that differ from what
the browser has, and the lists whose order does. Its id names the state that the browser then shows; after a break it
says which one it has, and gets what it lacks.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from farshore_hub.errors import Busy, HubError, Unauthenticated

MAX_LISTENERS: Final = 200
MAX_OF_TOKEN: Final = 40
"""Open pages that are told of changes: in all, and of the sessions of one API token."""

POLL_S: Final = 2.0
SILENCE_S: Final = 15.0
"""After this long without news a comment is sent, so that a dead connection is noticed."""

LIFE_S: Final = 1800.0
"""Then the browser has to come again, which it does by itself."""

RETRY_MS: Final = 3000
EVENT_STREAM: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Pieces:
    """What can change of a page.

    Attributes:
        html: of each piece, by its id.
        lists: by the id of an element the ids of the pieces that are all its children, in their order.
    """

    html: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The name of what the page then shows: a hash of it."""
        return hashlib.sha256(json.dumps([dict(self.html), dict(self.lists)]).encode()).hexdigest()[:24]

    def since(self, before: Pieces) -> Pieces:
        """What differs."""
        html = {name: text for name, text in self.html.items() if before.html.get(name) != text}
        return Pieces(html, {name: ids for name, ids in self.lists.items() if before.lists.get(name) != ids})

    def __bool__(self) -> bool:
        return bool(self.html or self.lists)


@dataclass(frozen=True, slots=True)
class Watch:
    """What one open page is told.

    Attributes:
        whose: name of the API token.
        look: the pieces as they are now; raises if they cannot be shown any more.
        allowed: raises `Unauthenticated` once the session is over.
        shown: the state that the browser has, as far as it says.
    """

    whose: str
    look: Callable[[], Awaitable[Pieces]]
    allowed: Callable[[], Awaitable[object]]
    shown: str


class Live:
    """All pages that are told of changes."""

    def __init__(self, stopping: asyncio.Event, *, poll_s: float = POLL_S) -> None:
        self._stopping = stopping
        self._poll_s = poll_s
        self._open: Counter[str] = Counter()

    def events(self, watch: Watch) -> AsyncIterator[bytes]:
        """The events of one page, until its session is over, the hub stops, or the browser leaves.

        Raises:
            Busy: enough pages are open.
        """
        if self._open.total() >= MAX_LISTENERS or self._open[watch.whose] >= MAX_OF_TOKEN:
            raise Busy("as many pages are live as this hub allows", retry_after_s=30, remedy="reload the page later")
        return self._counted(watch)

    async def _counted(self, watch: Watch) -> AsyncIterator[bytes]:
        self._open[watch.whose] += 1
        try:
            async for event in self._events(watch):
                yield event
        finally:
            self._open[watch.whose] -= 1

    async def _events(self, watch: Watch) -> AsyncIterator[bytes]:
        yield f"retry: {RETRY_MS}\n\n".encode()
        before, quiet_s = Pieces(), 0.0
        for _ in range(int(LIFE_S / self._poll_s)):
            try:
                await watch.allowed()
                after = await watch.look()
            except Unauthenticated:
                yield _event("ended", {})
                return
            except Busy:
                after = before
            except HubError as error:
                yield _event("failed", {"detail": error.detail})
                return
            if not before and watch.shown == after.state:
                before = after
            quiet_s += self._poll_s
            if new := after.since(before):
                yield _event("pieces", {"html": dict(new.html), "lists": dict(new.lists)}, after.state)
                quiet_s = 0.0
            elif quiet_s >= SILENCE_S:
                yield b": still here\n\n"
                quiet_s = 0.0
            before = after
            if await self._stops():
                return

    async def _stops(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._stopping.wait()
        return self._stopping.is_set()


def _event(kind: str, data: Mapping[str, Any], state: str = "") -> bytes:
    # JSON has no bare line ends, so that an event is one line of data.
    named = f"id: {state}\n" if state else ""
    return f"event: {kind}\n{named}data: {json.dumps(data)}\n\n".encode()
