"""The link fails in every way that links fail; the doors stay open, and everything arrives once."""

from __future__ import annotations

from collections.abc import Callable

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import Site


def _produce(site: Site, count: int) -> None:
    site.must_post(count)
    site.drop_file(count)
    site.log_lines(count)


def test_a_backlog_of_all_doors_arrives_once_after_an_outage(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port)
    _produce(site, 200)
    drain(hub, site)
    link.cut()
    for _ in range(10):
        _produce(site, 150)
    until("the agent holds the backlog", lambda: site.status()["buffer"]["pending"] >= 4500)
    assert hub.completeness(site.name)["readings"]["stored"] == 200
    link.restore()
    _produce(site, 200)
    assert_settled(hub, site)


def test_a_link_that_is_cut_again_and_again_delivers_everything_once(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port)
    for _ in range(15):
        _produce(site, 40)
        link.cut()
        _produce(site, 40)
        link.restore()
    assert_settled(hub, site)


def test_a_link_that_gets_stuck_in_the_middle_of_a_parcel_is_given_up(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port)
    _produce(site, 20)
    drain(hub, site)
    link.stall_after(8_000)
    _produce(site, 1000)
    until("the link is stuck", lambda: link.is_stuck)
    until("the agent sees it", lambda: not site.status()["link"]["up"])
    assert site.status()["link"]["last_error"]
    link.restore()
    assert_settled(hub, site)
