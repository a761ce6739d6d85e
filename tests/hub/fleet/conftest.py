"""A fleet over a real database of each kind, with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.store import migrate
from farshore_hub.store.engine import open_engine
from farshore_shell.system import SystemRandom
from tests.hub.fleet.site import DAY_S, TurnableClock

ADDRESSES = ["https://hub.example.org:8443"]


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
def keys(tmp_path: Path, clock: TurnableClock) -> HubKeys:
    return HubKeys.create(tmp_path / "keys", clock, SystemRandom())


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    engine = open_engine(url)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def fleet(engine: Engine, keys: HubKeys, clock: TurnableClock) -> Fleet:
    return Fleet(engine, keys, ADDRESSES, 30 * DAY_S, 400 * DAY_S, clock, SystemRandom())
