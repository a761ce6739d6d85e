"""The doorkeeper between a broker that asks and a database that changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.exc import OperationalError

from farshore_hub.broker import doorkeeper as room
from farshore_hub.broker.doorkeeper import Doorkeeper
from farshore_hub.broker.nkeys import Issuer, claims_of
from farshore_hub.broker.rights import Tally
from farshore_hub.errors import SiteRevoked
from farshore_hub.fleet.ca import CertificateAuthority, Validity, pem_of
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.signin import Peer, peer_of
from farshore_protocol.topics import Topics
from farshore_shell.system import SystemClock
from tests.contracts.hub_world import threaded

HUB = b"hub-name"
TOPICS = Topics(HUB)
NOW_US = 1_795_435_200_000_000
ISSUER = Issuer()


class Door:
    """A doorkeeper, the sites that its database knows, and the broker that it talks to."""

    def __init__(self) -> None:
        self.ca = CertificateAuthority.create(HUB, NOW_US, bytes(16))
        self.serials = 0
        self.revoked: set[str] = set()
        self.kicked: list[int] = []
        self.before_answer: Callable[[], None] = lambda: None
        self.database_is_down = False
        self.version = 0
        self.tally = Tally()
        self.own = self.certificate("_hub")
        fleet = SimpleNamespace(clock=SystemClock(), keys=SimpleNamespace(hub=HUB), engine=None)
        own = peer_of(self.own).serial
        self.keeper = Doorkeeper(cast("Fleet", fleet), ISSUER, own, self.sign_in, threaded, self.tally)
        self.keeper._system = cast("Any", self)

    is_connected = True

    def certificate(self, name: str) -> str:
        self.serials += 1
        key = self.ca.key.public_key()
        valid = Validity.beginning(NOW_US, timedelta(days=30))
        return pem_of(self.ca.issue_site(name, key, valid, self.serials.to_bytes(16, "big"))).decode()

    async def sign_in(self, peer: Peer) -> str:
        [site] = self.sites_of(None, [peer])
        self.before_answer()
        if isinstance(site, Exception):
            raise site
        return site

    def sites_of(self, _fleet: object, peers: list[Peer]) -> list[str | Exception]:
        return [SiteRevoked(f"{each.name} is out") if each.name in self.revoked else each.name for each in peers]

    def stamp(self) -> tuple[int, ...]:
        if self.database_is_down:
            raise OperationalError("", {}, Exception("it is down"))
        return (self.version,)

    def revoke(self, site: str) -> None:
        self.revoked.add(site)
        self.version += 1

    async def request(self, subject: str, told: bytes, timeout: float) -> None:  # noqa: ASYNC109 - as the library has it
        """The broker is asked to cut somebody off."""
        assert subject == "$SYS.REQ.SERVER.NSERVER.KICK"
        self.kicked.append(json.loads(told)["cid"])

    async def knock(self, connection: int, certificate: str, client_id: str) -> dict[str, Any]:
        """What the broker is answered about a connection."""
        asked = {
            "server_id": {"id": "NSERVER"},
            "user_nkey": "UUSER",
            "client_info": {"id": connection, "mqtt_id": client_id},
            "client_tls": {"verified_chains": [[certificate]]},
        }
        answered: list[bytes] = []

        async def respond(answer: bytes) -> None:
            answered.append(answer)

        message = SimpleNamespace(data=ISSUER.sign({"nats": asked}, 1).encode(), respond=respond)
        await self.keeper._answer(cast("Any", message))
        [answer] = answered
        said: dict[str, Any] = claims_of(answer)["nats"]
        return said

    async def site(self, connection: int, name: str = "ship-7") -> dict[str, Any]:
        return await self.knock(connection, self.certificate(name), TOPICS.client_id(name))


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    made = Door()
    monkeypatch.setattr(room, "sites_of", made.sites_of)
    monkeypatch.setattr(made.keeper, "_stamp", made.stamp)
    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.001)
    return made


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0.001)


async def test_a_site_comes_in_under_the_name_of_its_certificate_only(door: Door) -> None:
    assert "jwt" in await door.site(1)
    certificate = door.certificate("ship-7")
    for name in (TOPICS.client_id("ship-8"), "_hub", "ship-7", ""):
        assert await door.knock(2, certificate, name) == {
            "type": "authorization_response",
            "version": 2,
            "error": "forbidden",
        }
    assert not door.kicked, "whoever is turned away costs nobody his place"
    assert dict(door.tally.turned_away) == {"forbidden": 4}


async def test_whoever_has_no_certificate_is_turned_away(door: Door) -> None:
    assert (await door.knock(1, "", TOPICS.client_id("ship-7")))["error"] == "unauthenticated"


async def test_the_hub_is_known_by_its_own_certificate_not_by_its_name(door: Door) -> None:
    reads = claims_of((await door.knock(1, door.own, "_hub"))["jwt"].encode())["nats"]["sub"]["allow"]
    assert all(".*." in each for each in reads)
    assert "error" in await door.knock(2, door.certificate("_hub"), "_hub")


async def test_a_site_is_inside_once_so_that_a_revocation_leaves_none_of_it(door: Door) -> None:
    for connection in (1, 2, 3):
        assert "jwt" in await door.site(connection)
    assert door.kicked == [1, 2]
    await door.site(4, "ship-8")
    watching = asyncio.create_task(door.keeper._watch(cast("Any", door)))
    door.revoke("ship-7")
    await until(lambda: door.tally.cut_off)
    await asyncio.sleep(0.05)
    watching.cancel()
    assert door.kicked == [1, 2, 3]
    assert (await door.site(5))["error"] == "site-revoked"


async def test_a_site_that_is_revoked_while_it_comes_in_is_cut_off(door: Door) -> None:
    watching = asyncio.create_task(door.keeper._watch(cast("Any", door)))
    # The database has said yes, and is asked again before the broker is told.
    door.before_answer = lambda: door.revoke("ship-7")
    await door.site(1)
    await until(lambda: 1 in door.kicked)
    watching.cancel()


async def test_a_database_that_is_down_cuts_nobody_off_and_is_asked_again(door: Door) -> None:
    await door.site(1)
    door.database_is_down = True
    watching = asyncio.create_task(door.keeper._watch(cast("Any", door)))
    await asyncio.sleep(0.05)
    assert not door.kicked
    door.revoke("ship-7")
    door.database_is_down = False
    await until(lambda: door.kicked == [1])
    watching.cancel()
