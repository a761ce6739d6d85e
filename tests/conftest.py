"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgres", "tests.objects"]

# No deadline and no check for slow generation: a busy machine is not a bug.
_COMMON = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("default", _COMMON, derandomize=False)
# In CI the same examples every time: a red build is caused by the change, and the blob repeats it anywhere.
settings.register_profile("ci", _COMMON, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

_FIRST: Final = (
    *("acceptance", "fuzz", "soak", "links", "security", "disk", "browser", "packages", "powercut", "ledger"),
    *("test_site.py", "test_package.py", "test_examples.py", "simulation"),
)
"""Where tests take seconds each. Those that take milliseconds come last, and keep both workers busy."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no worker sits alone with one at the end; within a folder as they stand."""
    ranks = {name: rank for rank, name in enumerate(_FIRST)}
    here = Path(__file__).parent
    items.sort(key=lambda item: ranks.get(item.path.relative_to(here).parts[0], len(ranks)))
