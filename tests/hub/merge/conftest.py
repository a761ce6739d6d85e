from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore_hub.lake.files.location import in_folder
from farshore_hub.store.engine import open_engine
from tests.hub.lake.stored import Stored, make_schema


@pytest.fixture(params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stored]:
    """An empty hub, on each store."""
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'hub.db'}" if is_sqlite else request.getfixturevalue("postgres_url")
    engine = open_engine(url)
    make_schema(engine)
    yield Stored(engine, in_folder(tmp_path / "lake"), tmp_path)
    engine.dispose()
