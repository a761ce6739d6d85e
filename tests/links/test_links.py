"""A real agent and a real hub over links that are slow, lossy, dead without a word, or answered by somebody else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import Site, Way
from tests.links.badlink import BadLink
from tests.links.front import PORTAL, Front, page
from tests.links.netem import Impairment
from tests.links.profiles import PROFILES
from tests.links.table import DROPS_ALL, backlog_over

SLOW = "256 kbit/s, 600 ms"
PATIENT = 'heartbeat = "1 s"\nbackoff_min = "50 ms"\nbackoff_max = "500 ms"\n'


def is_up(site: Site) -> bool:
    return bool(site.status()["link"]["up"])


@pytest.mark.parametrize(
    ("profile", "payload_bytes"),
    [
        (SLOW, 100_000),
        (f"{SLOW}, 5 % loss", 40_000),
        (f"{SLOW}, 30 % loss", 5_000),
        ("2 Mbit/s, 100 ms, reordered, 2 % doubled", 200_000),
    ],
)
def test_a_backlog_crosses_a_bad_link_once(
    profile: str, payload_bytes: int, hub: Hub, sites: MakeSite, link: BadLink
) -> None:
    site = sites(hub, way=Way(link.hub_address, link.inside, PATIENT))
    how = PROFILES[profile]
    got = backlog_over(link, hub, site, how, payload_bytes)
    print(f"{profile}: {got}, {got.share_of(how.rate_kbit_s):.0%} of the link")  # noqa: T201 - measured, not asserted


def test_a_hub_that_vanishes_without_a_word_is_noticed_and_found_again(
    own_hub: Hub, sites: MakeSite, link: BadLink
) -> None:
    site = sites(own_hub, way=Way(link.hub_address, link.inside))
    site.must_post(20)
    drain(own_hub, site)
    link.impair(DROPS_ALL)
    own_hub.kill()
    site.must_post(20)
    until("the agent notices", lambda: not is_up(site))
    own_hub.start()
    site.must_post(20)
    link.impair(Impairment())
    assert_settled(own_hub, site)


def test_a_hub_that_is_stopped_in_its_tracks_is_given_up_in_time(own_hub: Hub, sites: MakeSite) -> None:
    site = sites(own_hub)
    site.must_post(20)
    drain(own_hub, site)
    os.kill(own_hub.daemon.pid, signal.SIGSTOP)
    try:
        site.must_post(200)
        until("the agent gives it up", lambda: not is_up(site))
        assert site.status()["link"]["last_error"]
        site.must_post(20)
    finally:
        os.kill(own_hub.daemon.pid, signal.SIGCONT)
    assert_settled(own_hub, site)


def test_a_router_that_forgets_a_silent_connection_loses_nothing(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port)
    site.must_post(20)
    drain(hub, site)
    for _ in range(2):
        link.forget()
        site.must_post(100)
    assert_settled(hub, site)


def test_an_answer_that_gets_stuck_is_asked_for_again(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port)
    site.must_post(20)
    drain(hub, site)
    link.stall_answers()
    site.must_post(500)
    until("the agent gives up waiting", lambda: not is_up(site))
    link.restore()
    assert_settled(hub, site)


def test_parcels_share_one_connection(hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy]) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port)
    site.must_post(20)
    drain(hub, site)
    before = link.connections
    for _ in range(4):
        site.must_post(20)
        drain(hub, site)
    until("heartbeats have come", lambda: site.status()["link"]["exchanges"]["answered"] >= 8)
    assert link.connections == before


@pytest.mark.parametrize(
    "answer",
    [
        page("200 OK", PORTAL),
        page("302 Found", b"", "location: http://portal.example/"),
        page("502 Bad Gateway", b"<html>"),
        page("503 Service Unavailable", b"", "retry-after: 1"),
        page("413 Content Too Large"),
        page("500 Internal Server Error"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["portal", "redirect", "502", "503", "413", "500", "not HTTP"],
)
def test_whoever_answers_in_the_hubs_place_delays_and_loses_nothing(
    answer: bytes, hub: Hub, sites: MakeSite, fronted: Callable[[Hub], Front]
) -> None:
    front = fronted(hub)
    site = sites(hub, port=front.port)
    site.must_post(20)
    drain(hub, site)
    front.stand_in(answer)
    site.must_post(50)
    until("they have been answered", lambda: front.answered >= 3)
    assert not is_up(site)
    assert site.status()["link"]["last_error"]
    assert site.status()["link"]["set_aside"] == []
    front.stand_in(None)
    assert_settled(hub, site)


def test_a_new_certificate_of_the_hub_is_trusted_as_the_old_one_was(own_hub: Hub, sites: MakeSite) -> None:
    site = sites(own_hub)
    site.must_post(20)
    drain(own_hub, site)
    own_hub.stop()
    chain = own_hub.data / "keys" / "tls.pem"
    before = chain.read_bytes()
    chain.unlink()
    site.must_post(20)
    own_hub.start()
    assert chain.read_bytes() != before
    assert_settled(own_hub, site)


def test_a_name_service_that_is_gone_and_back_holds_up_nobody(hub: Hub, sites: MakeSite, link: BadLink) -> None:
    """The agent's own /etc/hosts and resolv.conf are handed in; no name service answers at the site."""
    names = hub.data.parent / "names"
    names.mkdir(exist_ok=True)
    (names / "hosts").write_text(f"{link.hub_address} hub.test\n")
    (names / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    binds = f"mount --bind {names}/hosts /etc/hosts && mount --bind {names}/resolv.conf /etc/resolv.conf"
    inside = (*link.inside, "unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh")
    site = sites(hub, way=Way("hub.test", inside))
    site.must_post(20)
    drain(hub, site)
    (names / "hosts").write_text("")
    link.impair(DROPS_ALL)
    site.must_post(20)
    until("the connection is given up", lambda: not is_up(site))
    link.impair(Impairment())
    drain(hub, site)
    site.stop()
    site.start()
    site.must_post(20)
    until("an agent that never knew it says so", lambda: "hub.test" in site.status()["link"]["last_error"])
    (names / "hosts").write_text(f"{link.hub_address} hub.test\n")
    assert_settled(hub, site)
