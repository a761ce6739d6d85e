"""Who listens is told of what this process has committed, and of nothing else."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

from farshore_hub.store.engine import open_engine, writing
from farshore_hub.store.told import Told, listen, tell
from farshore_hub.work.bell import Bell
from farshore_shell.system import SystemClock


def test_what_is_committed_is_told_once_and_what_is_rolled_back_never(tmp_path: Path) -> None:
    engine, other = (open_engine(f"sqlite:///{tmp_path / name}") for name in ("one.db", "other.db"))
    rung: list[str] = []
    listen(engine, Told.ORDERS, lambda: rung.append("orders"))
    listen(engine, Told.ROLLOUTS, lambda: rung.append("rollouts"))
    with suppress(ZeroDivisionError), writing(engine) as connection:
        tell(connection, Told.ORDERS)
        raise ZeroDivisionError
    with writing(engine):
        pass
    with writing(other) as connection:
        tell(connection, Told.ORDERS)
    assert rung == []
    with writing(engine) as connection:
        tell(connection, Told.ORDERS)
        tell(connection, Told.ORDERS)
        assert rung == []
    assert rung == ["orders"]
    engine.dispose()
    other.dispose()


async def test_a_bell_wakes_who_sleeps_from_any_thread() -> None:
    bell, clock = Bell(), SystemClock()
    bell.ring()  # nobody has slept here yet
    sleeper = asyncio.create_task(bell.sleep(clock, 3600))
    await asyncio.sleep(0)
    threading.Thread(target=bell.ring).start()
    await asyncio.wait_for(sleeper, 60)
