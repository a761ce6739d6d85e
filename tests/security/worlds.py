"""The hub's store at the level of the contract, on both databases, under a name that no other fixture has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.hub_world import HubWorld


@pytest.fixture(params=["sqlite", "postgresql"])
def hub_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HubWorld]:
    url = f"sqlite:///{tmp_path}/hub.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    world = HubWorld(url)
    yield world
    world.engine.dispose()
