"""A buffer without room, under each policy, with the link cut: it refuses or gives up with a receipt, and goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import pytest

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.records import Record
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import READINGS, Answered, Site

SMALL: Final = 'max_bytes = "8 MiB"\nmax_commit_bytes = "1 MiB"'
PORTION: Final = 200
_MOST_PORTIONS: Final = 500


def _bulky(site: Site) -> list[Record]:
    """Records that do not compress, so that the buffer is soon full."""
    return [{**record, "blob": site.noise(1000)} for record in site.supply.readings(PORTION)]


def _fill(site: Site) -> Answered:
    """Post until it is refused; the refusal."""
    for _ in range(_MOST_PORTIONS):
        answered = site.post(_bulky(site))
        if answered.status != 200:
            return answered
    raise AssertionError(f"never refused: {site.status()}")


def test_a_full_buffer_refuses_and_goes_on_when_there_is_room(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port, policy='when_full = "refuse"', buffer=SMALL)
    link.cut()
    answered = _fill(site)
    assert answered.status == 507
    assert int(answered.headers["retry-after"]) > 0
    # Sealing makes some room yet, so it may be refused a little later.
    until("the command is refused", lambda: site.append(_bulky(site)).code == 6)
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
        assert site.post(_bulky(site)).status == 200, site.daemon.said()
        return any(stream["receipted"] for stream in site.status()["buffer"]["streams"])

    until("something is given up", has_shed)
    for _ in range(3):
        assert site.post(_bulky(site)).status == 200
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


def test_a_command_that_is_refused_says_where_to_go_on(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port, policy='when_full = "refuse"', buffer=SMALL)
    link.cut()
    records = [{**record, "blob": site.noise(1000)} for record in site.supply.readings(_MOST_PORTIONS * 20)]
    said = site.append(records)
    assert said.code == 6, said
    following = json.loads(said.out)["next_line"]
    assert 1 < following < len(records)
    link.restore()
    drain(hub, site)
    assert site.append(records[following - 1 : following + 99]).code == 0
    assert_settled(hub, site)
