"""MQTT: what any broker may send a client, and what the hub's own broker asks about who connects."""

from __future__ import annotations

from collections.abc import Iterator

from farshore_hub.broker.nkeys import Issuer, claims_of
from farshore_hub.broker.rights import read_knock
from farshore_hub.errors import Malformed
from farshore_protocol.topics import Topics
from farshore_shell.mqtt import packets
from farshore_shell.mqtt.packets import BadPacket, Incoming, Message, Packet
from tests.fuzz.target import target
from tests.fuzz.transport import pieces

MOST = 1_000
TOPICS = Topics(b"hub-name")


def _said() -> Iterator[bytes]:
    yield b"\x20\x02\x00\x00\x90\x04\x00\x01\x00\x80\x40\x02\x00\x02\xd0\x00"
    yield packets.publish(Message("farshore/6875622d6e616d65/ship-7/report", b"FSR\x01", retain=True), 9)
    yield b"\x30\x07\x00\x03a/bhi" * 3


@target(seeds=_said)
def mqtt_packets(data: bytes) -> None:
    """Every byte sequence is packets or ends the connection, however it is cut; nothing beyond the bound is held."""
    whole, in_pieces = _read([data]), _read(pieces(data, 7))
    assert whole == in_pieces
    for packet in whole[0]:
        if packet.message is not None:
            assert len(packet.message.payload) <= MOST
            TOPICS.read(packet.message.topic)


def _read(parts: list[bytes]) -> tuple[list[Packet], bool]:
    incoming, came = Incoming(MOST), list[Packet]()
    try:
        for part in parts:
            came.extend(incoming.feed(part))
            assert len(incoming._held) <= MOST + 5
    except BadPacket:
        return came, True
    return came, False


def _questions() -> Iterator[bytes]:
    asked = {
        "server_id": {"id": "N"},
        "user_nkey": "U",
        "client_info": {"id": 7, "mqtt_id": "x"},
        "client_tls": {"verified_chains": [["PEM"]]},
    }
    yield Issuer().sign({"nats": asked}, 1).encode()


@target(seeds=_questions)
def broker_question(data: bytes) -> None:
    """Whatever the broker asks is a question about one connection, or refused."""
    try:
        read_knock(claims_of(data))
    except Malformed:
        return
