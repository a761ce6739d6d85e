"""A site under its hub's orders, with the installed commands of both: what is good stays, what is not is taken back.

One story, because each step rests on the one before; the producers do not notice any of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from tests.acceptance.commands import until
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import Site

FOREVER_S = 3600


class Steering:
    """The hub's configuration of one site."""

    def __init__(self, hub: Hub, site: Site) -> None:
        self._hub = hub
        self._site = site

    def push(self, text: str, *, probe_s: int = 1) -> None:
        """Give every site these settings; over the API, because it is quicker than the command."""
        files = {"fleet.toml": f"[layer]\nprobe_s = {probe_s}\n{text}"}
        body = json.dumps({"files": files, "halt_failed": None, "again": True}).encode()

        def is_taken() -> bool:
            status, said = self._hub.request("POST", "/v1/config", body, **{"content-type": "application/json"})
            assert status in {HTTPStatus.CREATED, HTTPStatus.CONFLICT}, said
            return status == HTTPStatus.CREATED

        until("the rollout before is over", is_taken)

    def ends(self, outcome: str) -> None:
        """Wait until the site is done with the newest settings, and has told its hub."""

        def is_told() -> bool:
            here = self.here()
            return (here["settings"] or {}).get("outcome") == outcome and here["heard"] == here["report"]

        until(f"the hub hears {outcome}", is_told)

    def here(self) -> dict[str, Any]:
        """What the site says of it, every two seconds."""
        orders: dict[str, Any] = json.loads((self._site.state / "status.json").read_text())["orders"]
        return orders

    def shown(self) -> dict[str, tuple[Any, str]]:
        """The settings in force, with their origin."""
        found = self._site.do("settings", "show", "--json").json
        return {each["key"]: (each["value"], each["origin"]) for each in found}


def test_a_site_tries_what_its_hub_wants_and_takes_back_what_does_not_prove_itself(
    own_hub: Hub, sites: Callable[..., Site]
) -> None:
    site = sites(own_hub)
    hub = Steering(own_hub, site)
    site.must_post(10)
    until(
        "the site has introduced itself",
        lambda: hub.here()["report"] > 0 and hub.here()["heard"] == hub.here()["report"],
    )

    hub.push("[seal]\nmax_records = 50\n[streams.readings]\npriority = 9\n")
    hub.ends("kept")
    assert hub.shown()["seal.max_records"] == (50, "hub")
    assert hub.shown()["seal.linger"] == ("100 ms", "file")
    site.must_post(10)

    hub.push("[seal]\nlinger = '1 min'\n")
    hub.ends("refused")
    assert "longer than seal.linger_offline" in site.do("status").out
    assert hub.shown()["seal.max_records"] == (50, "hub")

    hub.push("[forward]\nhub = ['127.0.0.1:1']\n", probe_s=2)
    hub.ends("rolled-back")
    assert "was not reached for 2 s" in site.do("status").out
    assert hub.shown()["forward.hub"][1] == "file"
    site.must_post(10)

    hub.push("[seal]\nmax_records = 77\n", probe_s=FOREVER_S)
    until("it is on trial", lambda: hub.here()["probing"])
    site.kill()
    site.start()
    until("it is on trial again", lambda: hub.here()["probing"])
    assert hub.shown()["seal.max_records"] == (77, "hub")
    site.must_post(10)
    site.kill()
    site.start()
    hub.ends("rolled-back")
    assert hub.shown()["seal.max_records"] == (50, "hub")

    come_back_as_an_older_agent(site)
    until("the newer one's settings are gone", lambda: hub.here()["running"] == 0)
    assert "is not a known key" in site.do("status").out
    assert hub.shown()["seal.max_records"] == (10_000, "default")
    site.must_post(10)

    assert_settled(own_hub, site)


def come_back_as_an_older_agent(site: Site) -> None:
    """A newer one has kept settings that this one does not know, in a file with more in it than this one reads."""
    site.stop()
    path = site.state / "orders" / "state.json"
    state = json.loads(path.read_text())
    state["kept"]["settings"] += "\n[seal.thinking]\ndeeply = true\n"
    path.write_text(json.dumps({**state, "invented_later": [1, 2, 3]}))
    site.start()
