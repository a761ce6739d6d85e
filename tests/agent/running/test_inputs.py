"""Inputs that are told other settings: each alone, and never from before what it has handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from farshore_agent.buffer import Admitted, Buffer
from farshore_agent.buffer.model import Checkpoint
from farshore_agent.collect.input import InputContext
from farshore_agent.errors import AgentError
from farshore_agent.running import inputs
from farshore_agent.running.inputs import Inputs
from farshore_agent.settings import BufferSettings, InputSettings, SealSettings, StreamPolicies
from farshore_shell.system import SystemClock, SystemRandom
from tests.agent.app.site import until

T = TypeVar("T")
RECORD: dict[str, Any] = {"ts": 1_795_435_200, "n": 1}


class Disk:
    """A worker whose commits take as long as the test wants."""

    def __init__(self) -> None:
        self.is_quick = asyncio.Event()
        self.is_quick.set()

    async def run(self, work: Callable[[], T]) -> T:
        if getattr(work, "func", None) is not None and work.func.__name__ == "commit":  # type: ignore[attr-defined]
            await self.is_quick.wait()
        return work()


class Reader:
    """An input that hands over one record at a start, unless its checkpoint says that it did."""

    def __init__(self, name: str, settings: InputSettings, context: InputContext) -> None:
        self._name = name
        self._context = context

    async def run(self) -> None:
        self._context.opened("a file")
        if await self._context.load_checkpoint(self._name) is None:
            admitted = Admitted([RECORD], 0, 0, 30, [])
            await self._context.append("readings", admitted, Checkpoint(self._name, b"read"))
        await asyncio.Event().wait()


class Broken:
    def __init__(self, *_: object) -> None:
        pass

    async def run(self) -> None:
        raise AgentError("the address is taken")


class Kind:
    value = "tests:Reader"

    def __init__(self, what: type) -> None:
        self._what = what

    def load(self) -> type:
        return self._what


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def buffer(tmp_path: Path, disk: Disk) -> AsyncIterator[Buffer]:
    buffer = await Buffer.open(
        tmp_path / "buffer.db",
        settings=BufferSettings(),
        seal=SealSettings(),
        policies=StreamPolicies(),
        clock=SystemClock(),
        random=SystemRandom(),
        runner=disk.run,
    )
    yield buffer
    disk.is_quick.set()
    await buffer.close()


@pytest.fixture
def running(buffer: Buffer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.setattr(inputs, "installed", lambda: {"reader": Kind(Reader), "broken": Kind(Broken)})

    def context(opened: Callable[[str], None]) -> InputContext:
        return InputContext(
            buffer.append, buffer.load_checkpoint, StreamPolicies(), SystemClock(), tmp_path, opened=opened
        )

    return Inputs(context, SystemClock(), buffer.caught_up)


class Other(InputSettings):
    """The same input with something changed."""


async def test_an_input_that_is_restarted_reads_on_from_what_is_still_being_committed(
    running: Inputs, buffer: Buffer, disk: Disk
) -> None:
    disk.is_quick.clear()
    await running.use({"a": InputSettings(type="reader")})
    await until(lambda: buffer._committing is not None)
    restarting = asyncio.create_task(running.use({"a": Other(type="reader")}))
    await asyncio.sleep(0.05)
    assert not restarting.done()
    disk.is_quick.set()
    await restarting
    await until(lambda: running.doors == ["a: reader, a file"])
    await buffer.caught_up()
    await running.stop()
    assert [stream.head for stream in (await buffer.status()).streams] == [1]


async def test_only_what_differs_is_restarted(running: Inputs) -> None:
    one, two = InputSettings(type="reader"), InputSettings(type="reader")
    await running.use({"one": one, "two": two})
    before = dict(running._tasks)
    await running.use({"one": one, "two": Other(type="reader"), "three": one})
    assert running._tasks["one"] is before["one"]
    assert running._tasks["two"] is not before["two"]
    assert before["two"].cancelled()
    await running.use({})
    assert before["one"].cancelled()
    assert running.doors == []


async def test_an_input_of_the_owners_that_cannot_run_ends_the_agent_and_one_of_the_hubs_does_not(
    running: Inputs,
) -> None:
    settings = InputSettings(type="broken")
    running.own = {"mine": settings}
    await running.use({"pushed": settings})
    await until(lambda: running.troubles() == ["inputs.pushed: the address is taken"])
    assert running._ended is None
    await running.use({"mine": settings})
    with pytest.raises(AgentError, match="taken"):
        await running.failed()
    await running.stop()
