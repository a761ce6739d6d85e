"""Work in groups: everything that arrives while a group is at work goes into the next one.

One hop to a thread, one transaction, one fsync then serve many. Nobody waits for a group to fill.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

I = TypeVar("I")  # noqa: E741 - what goes in
O = TypeVar("O")  # noqa: E741 - what comes out

Outcomes = Sequence[O | Exception]
"""One for each of a group, in its order: a result, or what to raise to the one who waits for it."""

_MANY_BYTES: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class GroupBounds:
    """How large a group may become; one member is always taken.

    Attributes:
        members: so many.
        size: together, by the size that each is said to have.
        at_once: so many groups are at work at a time.
    """

    members: int
    size: int = _MANY_BYTES
    at_once: int = 1


class Groups(Generic[I, O]):
    """Calls that are answered in groups.

    A group whose work fails as a whole is worked on again, each member alone, so that none can fail its neighbours.
    """

    def __init__(self, work: Callable[[list[I]], Awaitable[Outcomes[O]]], bounds: GroupBounds) -> None:
        self._work = work
        self._bounds = bounds
        self._waiting: deque[tuple[I, int, asyncio.Future[O]]] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    async def __call__(self, member: I, size: int = 0) -> O:
        """What becomes of one member, or what its work raised."""
        done: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._waiting.append((member, size, done))
        if len(self._workers) < self._bounds.at_once:
            self._workers.add(asyncio.create_task(self._work_off(), name="work in groups"))
        return await done

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                members, waiting = self._next()
                for outcome, done in zip(await self._outcomes(members), waiting, strict=True):
                    _tell(done, outcome)
        finally:
            # In the step that found nothing waiting: whoever comes after it starts another worker.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _outcomes(self, members: list[I]) -> Outcomes[O]:
        try:
            return await self._work(members)
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait are told
            if len(members) == 1:
                return [error]
        return [outcome for member in members for outcome in await self._outcomes([member])]

    def _next(self) -> tuple[list[I], list[asyncio.Future[O]]]:
        members: list[I] = []
        waiting: list[asyncio.Future[O]] = []
        size = 0
        while self._waiting and len(members) < self._bounds.members:
            member, its_size, done = self._waiting[0]
            size += its_size
            if members and size > self._bounds.size:
                break
            self._waiting.popleft()
            members.append(member)
            waiting.append(done)
        return members, waiting


def _tell(done: asyncio.Future[O], outcome: O | Exception) -> None:
    if done.done():  # whoever asked has gone
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
