"""A buffer without room, under each policy, with the link cut: it refuses or gives up with a receipt, and goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import READINGS, Site

SMALL: Final = 'max_bytes = "8 MiB"\nmax_commit_bytes = "1 MiB"'
PORTION: Final = 2000
_MOST_PORTIONS: Final = 400


def _fill_until(site: Site, status: int) -> int:
    """Post until an answer has that status."""
    for count in range(1, _MOST_PORTIONS):
        if _post_bulky(site) == status:
            return count
    raise AssertionError(f"no {status} after {count} portions: {site.status()}")


def _post_bulky(site: Site) -> int:
    """Records that do not compress, so that the buffer is soon full."""
    records = [{**record, "blob": site.noise(100)} for record in site.supply.readings(PORTION)]
    return site.post(records)


def test_a_full_buffer_refuses_and_goes_on_when_there_is_room(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port, policy='when_full = "refuse"', buffer=SMALL)
    link.cut()
    _fill_until(site, 507)
    answered = site.ask("POST", f"/v1/streams/{READINGS}", b'{"ts": 1795435200, "blob": "' + b"x" * 900_000 + b'"}')
    assert answered.status == 507
    assert int(answered.headers["retry-after"]) > 0
    said = site.run("append", READINGS, given=b'{"ts": 1795435200, "blob": "' + b"x" * 900_000 + b'"}')
    assert said.code == 6, said
    link.restore()
    drain(hub, site)
    site.must_post(100)
    assert_settled(hub, site)


@pytest.mark.parametrize("policy", ["evict", "thin"])
def test_a_full_buffer_gives_up_the_oldest_with_receipts(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy], policy: str
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port, policy=f'when_full = "{policy}"', buffer=SMALL)
    site.must_post(100)
    drain(hub, site)
    link.cut()

    def has_shed() -> bool:
        assert _post_bulky(site) == 200, site.daemon.said()
        return any(stream["receipted"] for stream in site.status()["buffer"]["streams"])

    until("something is given up", has_shed)
    for _ in range(3):
        assert _post_bulky(site) == 200
    link.restore()
    drain(hub, site)
    _assert_accounted(hub, site, policy)


def _assert_accounted(hub: Hub, site: Site, policy: str) -> None:
    """Every acknowledged record is stored once or shed with a receipt; the newest are stored."""
    lines = hub.completeness(site.name)
    line, stored = lines[READINGS], hub.stored(site.name, READINGS)
    acknowledged = site.acknowledged[READINGS]
    assert stored <= acknowledged
    assert (line["gap"], line["pending"]) == (0, 0)
    assert line["shed"] == acknowledged.total() - stored.total() > 0
    assert line["produced"] == acknowledged.total()
    assert list(acknowledged)[-1] in stored
    hourly = lines.get(f"{READINGS}.hourly")
    assert (hourly is not None and hourly["stored"] > 0) == (policy == "thin")
    assert hub.run("completeness", "--check", "--site", site.name).code == 0
