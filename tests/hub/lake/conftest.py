from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore_hub.store.engine import open_engine
from tests.hub.lake.stored import Stored, make_schema


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    """An empty hub on SQLite."""
    yield from _stored(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path / "lake")


@pytest.fixture
def stored_in_postgres(postgres_url: str, tmp_path: Path) -> Iterator[Stored]:
    """An empty hub on PostgreSQL."""
    yield from _stored(postgres_url, tmp_path / "lake")


def _stored(url: str, lake: Path) -> Iterator[Stored]:
    engine = open_engine(url)
    make_schema(engine)
    yield Stored(engine, lake)
    engine.dispose()
