"""Copies of stores: an agent or a hub restored from a backup, and an agent that runs twice."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import READINGS, TEMPERATURES, Site


def test_an_agent_that_is_restored_from_a_backup_doubles_nothing_and_the_hub_loses_nothing(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy], folder: Path
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port)
    site.must_post(100)
    drain(hub, site)
    link.cut()
    site.must_post(100)
    site.stop()
    site.back_up(folder / "backup")
    link.restore()
    site.start()
    site.must_post(100)
    drain(hub, site)
    site.stop()
    site.restore(folder / "backup")
    site.start()
    site.must_post(100)
    assert_settled(hub, site)


def test_two_copies_of_one_agent_at_once_deliver_what_each_of_them_acknowledged(
    hub: Hub, sites: MakeSite, folder: Path
) -> None:
    site = sites(hub)
    site.must_post(100)
    site.stop()
    clone = Site(site.name, folder / "clone", hub.port)
    shutil.copytree(site.state, clone.state)
    clone.supply = type(site.supply)(f"{site.name}-clone")
    try:
        site.start()
        clone.start()
        for _ in range(5):
            site.must_post(60)
            clone.must_post(60)
        drain(hub, site)
        drain(hub, clone)
    finally:
        clone.kill()
    site.acknowledged[READINGS] += clone.acknowledged[READINGS]
    assert_settled(hub, site)


def test_a_hub_that_is_restored_from_a_backup_gets_the_difference_again(
    own_hub: Hub, sites: MakeSite, folder: Path
) -> None:
    site = sites(own_hub)
    site.must_post(300)
    site.drop_file(300)
    drain(own_hub, site)
    own_hub.stop()
    own_hub.back_up(folder / "backup")
    own_hub.start()
    site.must_post(300)
    site.log_lines(300)
    drain(own_hub, site)
    _until_in_lake(own_hub, site)
    own_hub.stop()
    own_hub.restore(folder / "backup")
    own_hub.start()
    site.must_post(300)
    assert_settled(own_hub, site)
    _until_in_lake(own_hub, site)
    assert _count(own_hub, "count(*)") == _count(own_hub, "count(DISTINCT id)") == 900


def _until_in_lake(hub: Hub, site: Site) -> None:
    """The lake alone, which the hub writes behind its answers, has every acknowledged record, once."""
    for stream in (READINGS, TEMPERATURES):
        ids = Counter(json.loads(content)["id"] for content in site.acknowledged[stream].elements())
        until(f"{stream} is in the lake", lambda ids=ids, stream=stream: hub.in_lake(stream) == ids)  # type: ignore[misc]


def _count(hub: Hub, what: str) -> int:
    status, body = hub.request(
        "POST",
        "/v1/query",
        json.dumps({"sql": f'SELECT {what} FROM "{READINGS}"'}).encode(),  # the names are the test's own
        **{"content-type": "application/json"},
    )
    assert status == 200, body
    return int(json.loads(body)["rows"][0][0])
