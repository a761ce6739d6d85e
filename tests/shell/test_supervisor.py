"""What a service manager is told, heard at a socket of its kind."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore_shell.supervisor import Supervisor

SECOND_US = "1000000"


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """Everything that was said since the last time."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    async def next(self) -> str:
        return (await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 4096), 60)).decode()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": SECOND_US, "WATCHDOG_PID": "7"}


def test_ready_and_stopping_are_told_each_with_a_line_for_people(manager: Manager, environment: dict[str, str]) -> None:
    supervisor = Supervisor.of_environment(environment, pid=7)
    supervisor.ready("link: ship-1")
    supervisor.ready("once is enough")
    supervisor.stopping()
    assert manager.heard() == ["READY=1\nSTATUS=link: ship-1", "STOPPING=1\nSTATUS=stopping"]


async def test_more_time_is_asked_for_until_it_is_ready_and_no_longer(
    manager: Manager, environment: dict[str, str]
) -> None:
    supervisor = Supervisor.of_environment(environment, pid=7)
    async with supervisor.alive():
        assert await manager.next() == "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000"
        supervisor.ready("")
        while "READY=1" not in await manager.next():
            pass
        assert await manager.next() == "WATCHDOG=1"
    assert all(each == "WATCHDOG=1" for each in manager.heard())


async def test_a_loop_that_hangs_gives_no_sign_of_life(manager: Manager) -> None:
    supervisor = Supervisor(manager.socket.getsockname(), watchdog_s=0.03)
    async with supervisor.alive():
        for _ in range(3):
            await manager.next()
        manager.heard()
        time.sleep(0.1)  # noqa: ASYNC251 - it is the loop that has to hang
        assert manager.heard() == []
        await manager.next()


async def test_the_signs_of_life_end_with_the_block(manager: Manager) -> None:
    async with Supervisor(manager.socket.getsockname(), watchdog_s=0.03).alive():
        await manager.next()
    manager.heard()
    await asyncio.sleep(0.1)
    assert manager.heard() == []


def test_a_watchdog_that_is_meant_for_another_process_is_not_ours(
    manager: Manager, environment: dict[str, str]
) -> None:
    assert Supervisor.of_environment(environment, pid=8)._watchdog_s == 0
    assert Supervisor.of_environment(environment, pid=7)._watchdog_s == 1


async def test_nobody_is_told_where_there_is_no_manager() -> None:
    supervisor = Supervisor.of_environment({})
    supervisor.ready("")
    async with supervisor.alive():
        assert {task.get_name() for task in asyncio.all_tasks()} & {"signs of life"} == set()


async def test_a_manager_that_is_gone_stops_nothing_and_is_complained_of_once(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = Supervisor.of_environment(environment | {"NOTIFY_SOCKET": "/nowhere/notify"}, pid=7)
    async with supervisor.alive():
        supervisor.ready("")
        await asyncio.sleep(0)
    supervisor.stopping()
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_who_stops_before_it_is_ready_is_not_told_to_be_ready_any_more(
    manager: Manager, environment: dict[str, str]
) -> None:
    supervisor = Supervisor.of_environment(environment, pid=7)
    supervisor.stopping()
    supervisor.ready("too late")
    assert manager.heard() == ["STOPPING=1\nSTATUS=stopping"]


def test_an_abstract_socket_is_reached_too(tmp_path: Path) -> None:
    name = f"farshore-test-{tmp_path.name}-{tmp_path.parent.name}"
    manager = Manager("\0" + name)
    try:
        Supervisor(f"@{name}").ready("")
        assert manager.heard() == ["READY=1\nSTATUS="]
    finally:
        manager.socket.close()
