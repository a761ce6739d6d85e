from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.audit.world import AuditWorld


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[AuditWorld]:
    world = AuditWorld(f"sqlite:///{tmp_path}/hub.db", tmp_path / "lake")
    yield world
    world.close()


@pytest.fixture
def hub_on_postgres(postgres_url: str, tmp_path: Path) -> Iterator[AuditWorld]:
    world = AuditWorld(postgres_url, tmp_path / "lake")
    yield world
    world.close()
