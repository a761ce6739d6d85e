"""Hubs and sites for the acceptance tests. All of them are stopped when the test that made them ends."""

from __future__ import annotations

import itertools
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.site import NEAR, Site, Way
from tests.seed import seed

MakeSite = Callable[..., Site]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """Short, because a unix socket's path has to be."""
    path = Path(tempfile.mkdtemp(prefix="fs-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder(session_folder: Path) -> Path:
    path = session_folder / f"t{next(_numbers)}"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def hub(session_folder: Path) -> Iterator[Hub]:
    """A running hub that is not harmed, for all tests that need no more of it."""
    yield from _running(session_folder)


@pytest.fixture
def own_hub(folder: Path) -> Iterator[Hub]:
    """A running hub for one test, which may do anything to it."""
    yield from _running(folder)


@pytest.fixture
def sites(folder: Path) -> Iterator[MakeSite]:
    """Makes sites; each joins the hub and runs, unless it is to come later."""
    with ExitStack() as stack:

        def make(
            hub: Hub, *, port: int = 0, started: bool = True, policy: str = "", buffer: str = "", way: Way = NEAR
        ) -> Site:
            name = f"site-{folder.name}-{next(_numbers)}"
            site = Site(name, folder / name, port or hub.port, policy=policy, buffer=buffer, way=way)
            stack.callback(site.kill)
            site.join(hub)
            if started:
                site.start()
            return site

        yield make


@pytest.fixture
def proxied(folder: Path) -> Iterator[Callable[[Hub], Proxy]]:
    """Makes links that can be cut."""
    with ExitStack() as stack:
        yield lambda hub: stack.enter_context(Proxy(hub.port))


@pytest.fixture
def chance() -> random.Random:
    """Random moments; the seed stands in the report of a failure."""
    return random.Random(seed())


def _running(folder: Path) -> Iterator[Hub]:
    made = Hub(folder)
    try:
        made.start()
        yield made
    finally:
        made.kill()
