from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore_hub.lake.files.location import Location
from tests.hub.audit.world import AuditWorld


@pytest.fixture
def hub(tmp_path: Path, lake_location: Location) -> Iterator[AuditWorld]:
    world = AuditWorld(f"sqlite:///{tmp_path}/hub.db", lake_location, tmp_path / "lock")
    yield world
    world.close()


@pytest.fixture
def hub_on_postgres(postgres_url: str, tmp_path: Path, lake_location: Location) -> Iterator[AuditWorld]:
    world = AuditWorld(postgres_url, lake_location, tmp_path / "lock")
    yield world
    world.close()
