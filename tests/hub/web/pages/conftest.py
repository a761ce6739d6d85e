"""One running hub for the tests of each file, and browsers for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from farshore_hub.fleet.api_tokens import Role
from tests.hub.web.pages.browsing import Browser
from tests.hub.web.running import RunningHub, running_hub

SignedIn = Callable[[Role], Browser]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def signed_in(hub: RunningHub) -> SignedIn:
    """Browsers that are signed in, one for each role."""
    browsers = {role: Browser(hub).sign_in(role) for role in Role}
    return browsers.__getitem__
