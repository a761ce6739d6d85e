"""Fixtures of the buffer's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.buffer.world import FakeHub, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "buffer.db")


@pytest.fixture
def hub(world: World) -> FakeHub:
    return FakeHub(world)
