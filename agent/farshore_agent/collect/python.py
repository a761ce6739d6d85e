"""The Python door: records of the program that holds the agent, often one an append from many tasks at once.

What is appended to a stream within one turn of the event loop is admitted and queued as one: then a record costs a
future and its share of the rest. The answers are as if each call had come alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from farshore_agent.buffer.model import Appended
from farshore_agent.collect.admit import admit
from farshore_agent.collect.input import Append
from farshore_agent.errors import RecordsRefused
from farshore_agent.settings.streams import StreamPolicies
from farshore_protocol.limits import MIB
from farshore_protocol.ports import Clock

MAX_TURN_RECORDS: Final = 1_000
MAX_TURN_BYTES: Final = 1 * MIB
"""A turn that is larger is taken apart again, so that its calls can go into several commits."""


@dataclass(slots=True, eq=False)
class _Turn:
    """What goes together: the records of all calls, and of each call the caller and how many are its own."""

    records: list[Any] = field(default_factory=list)
    callers: list[tuple[asyncio.Future[Appended], int]] = field(default_factory=list)

    def shares(self) -> Iterator[tuple[asyncio.Future[Appended], list[Any]]]:
        """Each caller with its own records."""
        first = 0
        for caller, count in self.callers:
            yield caller, self.records[first : first + count]
            first += count


class PythonDoor:
    """`append` for callers in the same process."""

    def __init__(self, append: Append, policies: StreamPolicies, clock: Clock) -> None:
        self._append = append
        self._policies = policies
        self._clock = clock
        self._turns: dict[str, _Turn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def append(self, stream: str, records: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Appended:
        """Store one record or several; returns when they are on disk. They must not be changed until then.

        Times of type datetime become ISO text. Refused records go to the stream's quarantine; the others are kept, and
        the answer counts the refused ones.

        Raises:
            RecordsRefused: all of them, with the reason for each.
            StreamNotFound: the name is not allowed or not declared.
            BufferFull: nothing was stored; try again later.
            TooMuch: more records than one call may carry.
            ValueError: there is no record.
        """
        given = [records] if isinstance(records, dict) else list(records)
        if not given:
            raise ValueError("there are no records to append")
        caller: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        turn = self._turns.get(stream)
        if turn is None or len(turn.records) + len(given) > MAX_TURN_RECORDS:
            self._policies.admitting(stream)
            turn = self._turns[stream] = _Turn()
            self._start(stream, turn)
        turn.records += given
        turn.callers.append((caller, len(given)))
        return await caller

    def _start(self, stream: str, turn: _Turn) -> None:
        # A task begins in the loop's next turn: until then others may join.
        task = asyncio.create_task(self._hand_over(stream, turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, stream: str, turn: _Turn) -> None:
        if self._turns.get(stream) is turn:
            del self._turns[stream]
        try:
            admitted = admit(turn.records, self._policies.admitting(stream), self._clock.now_us())
            if len(turn.callers) > 1 and (admitted.refused or admitted.bytes > MAX_TURN_BYTES):
                self._take_apart(stream, turn)
                return
            appended = await self._append(stream, admitted)
            if not admitted.records:
                raise RecordsRefused(stream, admitted.refused)
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller has to hear of it
            _fail(turn, error)
        except BaseException:
            _cancel(turn)
            raise
        else:
            _answer(turn, appended)

    def _take_apart(self, stream: str, turn: _Turn) -> None:
        """Each call by itself: what is wrong with one is its own affair, and the commits stay small."""
        for caller, records in turn.shares():
            self._start(stream, _Turn(records, [(caller, len(records))]))


def _answer(turn: _Turn, appended: Appended) -> None:
    """Tell the callers which of the sequences are theirs. Where some records were refused there is but one caller."""
    incarnation, first, last, refused = appended
    for caller, count in turn.callers:
        end = min(first + count - 1, last)
        if not caller.done():
            caller.set_result(Appended(incarnation, first, end, refused))
        first = end + 1


def _fail(turn: _Turn, error: Exception) -> None:
    for caller, _ in turn.callers:
        if not caller.done():
            caller.set_exception(error)


def _cancel(turn: _Turn) -> None:
    for caller, _ in turn.callers:
        caller.cancel()
