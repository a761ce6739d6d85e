from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.hub_world import HubWorld
from tests.contracts.steered_fleet import Fleet


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubWorld]:
    """A hub on SQLite; what differs on PostgreSQL is in tests/contracts."""
    world = HubWorld(f"sqlite:///{tmp_path}/hub.db")
    yield world
    world.engine.dispose()


@pytest.fixture
async def fleet(hub: HubWorld) -> Fleet:
    made = Fleet(hub)
    made.add("ship-1", "ship-2", "ship-3", region="north")
    await made.come()
    return made
