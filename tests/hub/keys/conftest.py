"""An initialised hub whose clock a test turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from farshore_hub.initialise import Stores, initialise
from farshore_hub.keys.desk import KeyDesk
from farshore_hub.opening import OpenedHub, fleet_of, open_hub
from farshore_shell.system import SystemRandom, World
from tests.hub.fleet.site import TurnableClock

ADDRESS = "https://hub.example.org:8443"


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
def hub(tmp_path: Path, clock: TurnableClock) -> Iterator[OpenedHub]:
    initialise(tmp_path / "hub", [ADDRESS], None, Stores(), clock, SystemRandom())
    with open_hub(tmp_path / "hub") as opened:
        outside = World(clock, SystemRandom())
        yield replace(opened, fleet=fleet_of(opened.place, opened.keys, opened.engine, outside))


@pytest.fixture
def desk(hub: OpenedHub) -> KeyDesk:
    return KeyDesk(hub, "alice")
