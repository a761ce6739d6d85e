"""Fixtures that the tests of the threat model share with the tests of the rooms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub.fleet.conftest import clock, engine, fleet, keys
from tests.hub.web.running import RunningHub, running_hub

__all__ = ["clock", "engine", "fleet", "keys"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub with real TLS that a module's tests share; none of them harms it."""
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running
