"""Puts the loops of all tables together: those that capture, those that apply, and the one that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from farshore_agent.collect.input import InputContext
from farshore_agent.forward.hub_http import HubDoor
from farshore_agent.settings.tables import TableSettings
from farshore_agent.tables.capture import Capture
from farshore_agent.tables.follower import Follower
from farshore_agent.tables.following import FollowedTable, Following
from farshore_agent.tables.loop import TableLoop
from farshore_agent.tables.shadow import FILE, Shadow
from farshore_protocol.ports import Random, Runner


@dataclass(frozen=True, slots=True)
class Outside:
    """What tables need beside the buffer.

    Attributes:
        offset_us: tells what has to be added to this clock to get the hub's, as far as that is known.
        open_hub: makes a door of the hub's for the identity in force.
    """

    random: Random
    offset_us: Callable[[], int]
    open_hub: Callable[[], HubDoor]


@dataclass(slots=True)
class Tables:
    """The loops."""

    captured: list[TableLoop] = field(default_factory=list)
    followed: list[FollowedTable] = field(default_factory=list)
    following: Following | None = None

    def loops(self) -> Mapping[str, Callable[[], Awaitable[Any]]]:
        """What is to be run, by name."""
        asking = {"following": self.following.run} if self.following else {}
        applying = {f"rows of {each.name}": each.run for each in self.followed}
        return {f"table {each.name}": each.run for each in self.captured} | applying | asking

    def report(self) -> list[dict[str, Any]]:
        """For the status document."""
        followed = {each.name for each in self.followed}
        only_captured = [each.report() for each in self.captured if each.name not in followed]
        return [*only_captured, *(each.report() for each in self.followed)]

    async def close(self) -> None:
        """Let go of the applications' databases."""
        for captured in self.captured:
            await captured.close()
        for followed in self.followed:
            await followed.close()


@asynccontextmanager
async def opened_tables(
    settings: Mapping[str, TableSettings], context: InputContext, runner: Runner, outside: Outside
) -> AsyncIterator[Tables]:
    """The tables of the settings, whose files are open for as long as the block runs; all work is done on `runner`."""
    shadow = await runner(partial(_opened_shadow, context.state_dir))
    tables = Tables()
    try:
        for name, each in settings.items():
            await runner(partial(_add, tables, name, each, shadow, context, runner, outside))
        if tables.followed:
            tables.following = Following(tables.followed, outside.open_hub, context.clock, outside.random)
        yield tables
    finally:
        await tables.close()
        await runner(shadow.close)


def _opened_shadow(state_dir: Path) -> Shadow:
    return Shadow(state_dir / FILE)


def _add(
    tables: Tables,
    name: str,
    settings: TableSettings,
    shadow: Shadow,
    context: InputContext,
    runner: Runner,
    outside: Outside,
) -> None:
    clock, loop = context.clock, None
    capture = Capture(name, settings, shadow, clock, outside.random, outside.offset_us)
    follower = Follower(name, settings, shadow, clock, lambda: capture.progress)
    is_followed = settings.direction.is_followed
    if settings.direction.is_captured:
        loop = TableLoop(name, settings, context, runner, capture, follower if is_followed else None)
        tables.captured.append(loop)
    if is_followed:
        tables.followed.append(FollowedTable(name, settings, follower, loop, runner, clock))
