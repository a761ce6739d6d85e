from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore_hub.lake.files.location import Location
from farshore_hub.store.engine import open_engine
from tests.hub.lake.stored import Stored, make_schema


@pytest.fixture
def stored(tmp_path: Path, lake_location: Location) -> Iterator[Stored]:
    """An empty hub on SQLite."""
    yield from _stored(f"sqlite:///{tmp_path / 'hub.db'}", lake_location, tmp_path)


@pytest.fixture
def stored_in_postgres(postgres_url: str, tmp_path: Path, lake_location: Location) -> Iterator[Stored]:
    """An empty hub on PostgreSQL."""
    yield from _stored(postgres_url, lake_location, tmp_path)


def _stored(url: str, location: Location, folder: Path) -> Iterator[Stored]:
    engine = open_engine(url)
    make_schema(engine)
    yield Stored(engine, location, folder)
    engine.dispose()
