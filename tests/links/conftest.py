"""Hubs and sites as in the acceptance tests, and links between them that are worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.acceptance.conftest import folder, hub, own_hub, proxied, session_folder, sites
from tests.acceptance.hub import Hub
from tests.links.badlink import BadLink
from tests.links.front import Front

__all__ = ["folder", "hub", "own_hub", "proxied", "session_folder", "sites"]


@pytest.fixture
def link() -> Iterator[BadLink]:
    """A network of its own, which can be impaired."""
    with BadLink() as made:
        yield made


@pytest.fixture
def fronted() -> Iterator[Callable[[Hub], Front]]:
    """Makes what stands in front of a hub and answers in its place."""
    with ExitStack() as stack:
        yield lambda hub: stack.enter_context(Front(hub))
