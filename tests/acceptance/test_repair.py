"""What the hub has lost comes again by itself; what two copies of one machine have sent is all there."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from farshore_hub.audit.auditor import ask_for_audit
from farshore_hub.audit.canonical import verify
from farshore_hub.store import damages
from farshore_hub.store.engine import open_engine, reading
from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.harm import destroy
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.records import canonical
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import NEAR, READINGS, Site, Way
from tests.acceptance.twins import LIFE, twins

SELDOM = Way(forward=NEAR.forward.replace('heartbeat = "1 s"', 'heartbeat = "5 s"'))
"""On a busy machine a repair takes its time, and heartbeats are bytes."""

ALLOWED = 1.05
"""Bytes over the link for a byte that was damaged; the site's heartbeats in the meantime are among them."""


def test_damaged_batches_come_again_by_themselves_and_cost_no_more_than_they_are(
    own_hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy], chance: random.Random
) -> None:
    link = proxied(own_hub)
    site = sites(own_hub, port=link.port, way=SELDOM)
    for _ in range(4):
        records = [{**record, "noise": site.noise(1_000)} for record in site.supply.readings(400)]
        assert site.post(records).status == 200
        drain(own_hub, site)
    until_in_lake(own_hub, site)
    before = link.up_bytes
    engine = open_engine(f"sqlite:///{own_hub.data / 'hub.db'}")
    damaged_bytes = destroy(engine, own_hub.data / "lake" / READINGS, chance, 2)
    ask_for_audit(engine, 1)

    def is_healed() -> bool:
        own_hub.daemon.check()
        with reading(engine) as connection:
            return [each.outcome for each in damages.tally(connection)] == ["healed"]

    until("the damaged batches are stored again", is_healed)
    resent_bytes = link.up_bytes - before
    engine.dispose()
    assert_settled(own_hub, site)
    until_in_lake(own_hub, site)
    assert resent_bytes >= damaged_bytes
    assert resent_bytes <= ALLOWED * damaged_bytes, (resent_bytes, damaged_bytes)
    said = own_hub.run("audit")
    assert said.code == 0, said.out


def test_of_two_copies_of_a_running_agent_nothing_is_lost_and_one_begins_anew(
    own_hub: Hub, sites: MakeSite, folder: Path
) -> None:
    made = sites(own_hub)
    made.must_post(50)
    drain(own_hub, made)
    made.stop()
    site, twin = twins(own_hub, made, folder)
    try:
        site.start()
        site.must_post(60)
        drain(own_hub, site)
        twin.start()
        twin.must_post(60)
        until("the hub has found the fork", lambda: bool(forks(own_hub)))
        twin.must_post(60)
        site.must_post(60)
        for each in (site, twin):
            until(f"{each.folder.name} has delivered everything", lambda each=each: is_empty(each))  # type: ignore[misc]
    finally:
        site.kill()
        twin.kill()
    found = forks(own_hub)
    assert {fork["incarnation"] for fork in found} == {LIFE.hex()}
    exported = [answer(own_hub, f"/v1/forks/{fork['id']}/records") for fork in found]
    aside = Counter(canonical(json.loads(line)) for lines in exported for line in lines.splitlines())
    assert aside <= twin.acknowledged[READINGS]
    stored = own_hub.stored(site.name, READINGS)
    assert stored + aside == site.acknowledged[READINGS] + twin.acknowledged[READINGS]
    line = own_hub.completeness(site.name)[READINGS]
    assert (line["forked"], line["gap"], line["stored"]) == (aside.total(), 0, stored.total())
    assert json.loads(answer(own_hub, "/v1/losses")) == {"losses": [], "is_whole": True}
    statement = of_all_times(own_hub, site.name)
    assert sum(each["received"]["records"] for each in statement["streams"]) == stored.total()
    assert json.loads(answer(own_hub, f"/v1/forks/{found[0]['id']}"))["in_its_place"]


def forks(hub: Hub) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(answer(hub, "/v1/forks"))
    return found


def answer(hub: Hub, path: str) -> bytes:
    status, body = hub.request("GET", path)
    assert status == 200, body
    return body


def of_all_times(hub: Hub, site: str) -> dict[str, Any]:
    """The hub's statement about a site, as somebody verifies it who has only its key."""
    body = answer(hub, f"/v1/sites/{site}/statement?from=0&to=4000000000000000")
    key = load_pem_public_key(hub.do("statement", "key").out.encode())
    assert isinstance(key, Ed25519PublicKey)
    return verify(body, key)


def is_empty(site: Site) -> bool:
    site.daemon.check()
    return bool(site.status()["buffer"]["pending"] == 0)


def until_in_lake(hub: Hub, site: Site) -> None:
    ids = Counter(json.loads(content)["id"] for content in site.acknowledged[READINGS].elements())
    until("the readings are in the lake", lambda: hub.in_lake(READINGS) == ids)
