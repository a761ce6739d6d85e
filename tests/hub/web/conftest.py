"""One running hub for the tests of each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub.web.running import RunningHub, running_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running
