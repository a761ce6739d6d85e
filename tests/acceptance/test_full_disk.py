"""A small disk that another process fills: agent and hub refuse, say when to come back, and go on by themselves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import Site

DISK_MIB: Final = 24
LARGER_THAN_THE_DISK: Final = 'max_bytes = "64 MiB"\nmax_commit_bytes = "1 MiB"'
PORTION: Final = 100


class SmallDisk:
    """A file system in memory, of its own size."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hog = path / "somebody-else"

    def fill(self) -> None:
        """Another process takes what is left."""
        line = ["dd", "if=/dev/zero", f"of={self._hog}", "bs=4k", "oflag=append", "conv=notrunc"]
        ended = subprocess.run(line, capture_output=True, check=False)
        assert ended.returncode != 0, "the disk was never full"

    def free(self) -> None:
        """And gives it back."""
        self._hog.unlink()


@pytest.fixture
def disk(folder: Path) -> Iterator[SmallDisk]:
    path = folder / "disk"
    path.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(line, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield SmallDisk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def small_site(disk: SmallDisk, hub: Hub) -> Iterator[Callable[[int], Site]]:
    made: list[Site] = []

    def make(port: int) -> Site:
        site = Site(f"small-{port}", disk.path, port, policy='when_full = "refuse"', buffer=LARGER_THAN_THE_DISK)
        made.append(site)
        site.join(hub)
        site.start()
        return site

    yield make
    for site in made:
        site.kill()


def post_bulky(site: Site) -> int:
    """Records that nothing makes smaller; the status of the answer."""
    return site.post([{**record, "blob": site.noise(1000)} for record in site.supply.readings(PORTION)]).status


def test_an_agent_on_a_full_disk_refuses_starts_delivers_and_goes_on(
    hub: Hub, disk: SmallDisk, small_site: Callable[[int], Site], proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = small_site(link.port)
    site.must_post(PORTION)
    link.cut()
    assert post_bulky(site) == 200
    disk.fill()
    until("records are refused", lambda: post_bulky(site) == 507)
    assert int(site.post(site.supply.readings(20_000)).headers["retry-after"]) > 0
    site.kill()
    site.start()
    link.restore()
    drain(hub, site)
    link.cut()
    disk.free()
    until("records are taken again", lambda: post_bulky(site) == 200)
    link.restore()
    assert_settled(hub, site)


def test_a_hub_on_a_full_disk_says_when_to_come_back_and_goes_on(disk: SmallDisk, sites: MakeSite) -> None:
    hub = Hub(disk.path)
    try:
        hub.start()
        site = sites(hub)
        site.must_post(PORTION)
        drain(hub, site)
        disk.fill()

        def is_refused() -> bool:
            assert post_bulky(site) == 200
            answer = hub.ask("POST", "/v1/sites", b'{"name": "one-more"}', **{"content-type": "application/json"})
            return answer.status == 503 and int(answer.headers["retry-after"]) > 0

        until("the hub refuses", is_refused)
        site.must_post(PORTION)
        assert hub.daemon.runs
        disk.free()
        assert_settled(hub, site)
    finally:
        hub.kill()
