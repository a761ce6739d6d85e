"""Orders over MQTT with the hub's own broker: at once, through every death, and for their own site alone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farshore_protocol.limits import MAX_REPORT_BYTES
from farshore_protocol.topics import PRESENT, What
from farshore_shell.mqtt.client import BrokerLost
from farshore_shell.mqtt.packets import Message
from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hostile_mqtt import Stranger, say_anything
from tests.acceptance.hub import Hub, free_port
from tests.acceptance.mosquitto import running_mosquitto
from tests.acceptance.ordering import SELDOM, Ordering, with_broker
from tests.acceptance.site import Site

HARMLESS = {"repeated"}
"""The hub tells a site that has just come what it may have missed."""
REFUSED = {"older", "repeated", "foreign", "malformed"}


@pytest.fixture(scope="module")
def port_and_hub(session_folder: Path) -> Iterator[tuple[int, Hub]]:
    """A hub with a broker, and the broker's port."""
    folder = session_folder / "push"
    folder.mkdir()
    made = Hub(folder)
    try:
        port = with_broker(made)
        made.start()
        yield port, made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def ordering(port_and_hub: tuple[int, Hub]) -> Iterator[Ordering]:
    with Ordering.at(port_and_hub[1]) as opened:
        yield opened


def pushed(site: Site) -> dict[str, Any]:
    orders: dict[str, Any] = site.status()["orders"]
    return orders


def until_pushed(ordering: Ordering, *those: Site) -> None:
    """Wait until orders reach these sites at once."""
    until("the sites are connected", lambda: all(pushed(site)["push"]["state"] == "up" for site in those))
    until("the hub knows the sites", lambda: all(ordering.is_introduced(site) for site in those))


def figure(hub: Hub, name: str) -> float:
    """The sum of one of the hub's figures over its labels."""
    status, body = hub.request("GET", "/metrics")
    assert status == 200
    found = re.findall(rf"^farshore_hub_{name}(?:_total)?(?:{{.*}})? ([0-9.e+]+)$", body.decode(), re.MULTILINE)
    return sum(map(float, found))


def broker_of(hub: Hub) -> int:
    """The process id of the hub's broker."""
    config = os.fsencode(hub.data / "broker" / "nats.conf")
    found = [each for each in Path("/proc").iterdir() if each.name.isdecimal() and config in _command(each)]
    return int(found[0].name) if found else 0


def _command(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def test_a_site_has_its_own_topics_only_and_is_cut_off_when_it_is_revoked(
    port_and_hub: tuple[int, Hub], ordering: Ordering, sites: MakeSite
) -> None:
    port, hub = port_and_hub
    site, evil = sites(hub, way=SELDOM), sites(hub, way=SELDOM)
    until_pushed(ordering, site, evil)
    evil.kill()
    stranger, taken, connections = Stranger(evil.state, port), figure(hub, "mqtt_reports"), pushed(site)["push"]

    # It reads nobody else's topics, with or without wildcards, nor the broker's own.
    own = stranger.of(evil.name, What.SETTINGS)
    others = [stranger.of(site.name, what) for what in What]
    wide = ["#", "farshore/#", stranger.of("+", What.SETTINGS), "+/+/+/+", "$SYS/#", "$MQTT/#"]
    unspeakable = [stranger.of(evil.name, What.REPORT), own + "/#"]
    assert stranger.may_read(own, *others, *wide, *unspeakable) == [own]

    # It takes nobody else's place, nor the hub's, nor a place of its own making; nor does who has no certificate.
    for name in (stranger.topics.client_id(site.name), "_hub", site.name, f"{stranger.own_id}x"):
        assert "may not connect" in stranger.is_refused(name), name
    assert stranger.is_refused(signed_in=False)

    # What it says on others' topics is heard by nobody; what it says of others on its own is refused, and said.
    report, order = ordering.command(site), b"FSO\x01forged"
    until("the order is there", lambda: pushed(site)["taken"] == 1)
    until("the hub has the report", lambda: figure(hub, "mqtt_reports") > taken)
    refused = figure(hub, "mqtt_refused")
    stranger.publish(
        *(Message(stranger.of(site.name, what), order, retain=True) for what in (What.SETTINGS, What.COMMAND)),
        Message(stranger.of(site.name, What.REPORT), report, retain=True),
        Message(stranger.of(site.name, What.PRESENCE), b"0", retain=True),
        Message(own, order, retain=True),
        Message(stranger.of(evil.name, What.PRESENCE), PRESENT),
        Message(stranger.of(evil.name, What.REPORT), report),
    )
    until("the hub refuses the forged report", lambda: figure(hub, "mqtt_refused") == refused + 1)
    stranger.publish(Message(stranger.of(evil.name, What.REPORT), bytes(MAX_REPORT_BYTES)))
    until("as large as a report may be, it is looked at", lambda: figure(hub, "mqtt_refused") == refused + 2)
    with pytest.raises(BrokerLost):
        stranger.publish(Message(stranger.of(evil.name, What.REPORT), bytes(2 * MAX_REPORT_BYTES)))
    assert f"came for {evil.name} over MQTT is not taken" in hub.daemon.said()
    assert not set(pushed(site)["refused"]) - HARMLESS
    assert pushed(site)["push"] == connections, "nothing of it has cost the site its connection"
    assert figure(hub, "mqtt_sites") == 2

    # Whoever is revoked is cut off at once, and does not come back; the others stay.
    @contextlib.contextmanager
    def revoked() -> Iterator[None]:
        hub.do("site", "revoke", evil.name)
        yield

    stranger.cut_off_after(revoked())
    assert "may not connect" in stranger.is_refused()
    assert figure(hub, "broker_cut_off") == 1
    assert f"cuts {stranger.own_id} off" in hub.daemon.said()
    assert pushed(site)["push"] == connections


def test_an_order_is_at_the_site_at_once_and_gets_there_through_every_death(
    port_and_hub: tuple[int, Hub], ordering: Ordering, sites: MakeSite
) -> None:
    _, hub = port_and_hub
    site = sites(hub, way=SELDOM)
    until_pushed(ordering, site)
    parcels = sum(site.status()["link"]["exchanges"].values())
    ordering.command(site)
    until("the order is there", lambda: pushed(site)["taken"] == 1)
    assert sum(site.status()["link"]["exchanges"].values()) == parcels
    until("the hub has the report", lambda: ordering.is_answered(site))

    os.kill(broker_of(hub), signal.SIGKILL)
    ordering.command(site)
    until("the order is there, by a new broker", lambda: pushed(site)["taken"] == 2)
    until("the hub has the report", lambda: ordering.is_answered(site))

    orphan = broker_of(hub)
    hub.kill()
    until("the broker is gone with its hub", lambda: not _command(Path("/proc") / str(orphan)))
    ordering.command(site)
    hub.start()
    until("the order is there, from the new hub", lambda: pushed(site)["taken"] == 3)
    until("the hub has the report", lambda: ordering.is_answered(site))

    site.kill()
    until("the hub says that the site is away", lambda: figure(hub, "mqtt_sites") == 0)
    ordering.command(site)
    site.start()
    until("the order is there, at the new agent", lambda: ordering.is_answered(site))
    hub.stop()
    assert not broker_of(hub)


def test_a_mosquitto_with_our_settings_does_it_too_and_a_hostile_one_can_hold_up_only(
    port_and_hub: tuple[int, Hub], ordering: Ordering, sites: MakeSite, folder: Path
) -> None:
    _, hub = port_and_hub
    hub.stop()
    port, back_door = free_port(), free_port()
    with_broker(hub, f'url = "mqtts://127.0.0.1:{port}"\n')
    hub.do("broker", "prepare", folder / "broker")
    with running_mosquitto(folder / "broker", port, back_door):
        hub.start()
        site, evil = sites(hub, way=SELDOM), sites(hub, way=SELDOM)
        until_pushed(ordering, site, evil)
        until("the hub is connected", lambda: figure(hub, "mqtt_up") == 1)
        evil.kill()
        stranger = Stranger(evil.state, port)
        own, theirs = (stranger.of(each.name, What.COMMAND) for each in (evil, site))

        # Somebody with another site's certificate hears nothing, whatever he calls himself, and nobody hears him.
        first = ordering.command(site)
        with stranger.listening(stranger.topics.client_id(site.name), "#", theirs, own):
            until("the order is there", lambda: ordering.is_answered(site))
            second = ordering.command(site)
            until("the next order is there", lambda: ordering.is_answered(site))
            for_evil = ordering.command(evil)
            until("his own order is there", lambda: for_evil in [each.payload for each in stranger.heard])
        assert {each.topic for each in stranger.heard} == {own}
        refused = figure(hub, "mqtt_refused")
        stranger.publish(Message(theirs, first), Message(stranger.of(site.name, What.REPORT), first))
        stranger.publish(Message(stranger.of(evil.name, What.REPORT), first))
        until("the hub refuses the forged report", lambda: figure(hub, "mqtt_refused") == refused + 1)
        assert pushed(site)["push"]["connections"] == 1
        assert not set(pushed(site)["refused"]) - HARMLESS

        # Whoever has the broker can say anything to the site, and have it do nothing.
        say_anything(back_door, *(Message(theirs, raw, retain=True) for raw in (first, second, for_evil, b"FSO\x01no")))
        until("all of it is refused", lambda: set(pushed(site)["refused"]) == REFUSED)
        assert pushed(site)["taken"] == 2
