"""MQTT packets: what a client says, and what it reads of what any broker may send it."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_shell.mqtt import packets
from farshore_shell.mqtt.packets import BadPacket, Hello, Incoming, Kind, Message, Packet

MOST = 2000

CONNACK = b"\x20\x02\x00\x00"
PUBACK = b"\x40\x02\x12\x34"
SUBACK = b"\x90\x04\x00\x07\x00\x80"
PINGRESP = b"\xd0\x00"


def read(raw: bytes) -> list[Packet]:
    return list(Incoming(MOST).feed(raw))


def test_a_client_introduces_itself_as_the_standard_says() -> None:
    # The example of section 3.1 of the standard, with a will that is retained and no password.
    hello = Hello("site", 60, will=Message("a/b", b"0", retain=True))
    body = b"\x00\x04MQTT\x04" + b"\x2e" + b"\x00\x3c" + b"\x00\x04site" + b"\x00\x03a/b" + b"\x00\x010"
    assert packets.connect(hello) == b"\x10" + bytes((len(body),)) + body


def test_a_password_is_said_to_the_broker_and_to_nobody_else() -> None:
    hello = Hello("hub", 60, username="u", password="secret")
    assert packets.connect(hello).endswith(b"\x00\x03hub\x00\x01u\x00\x06secret")
    assert "secret" not in repr(hello)


def test_what_is_published_is_read_again() -> None:
    message = Message("farshore/é/settings", bytes(300), retain=True)
    [packet] = read(packets.publish(message, 7))
    assert packet == Packet(Kind.PUBLISH, 7, message=message)


def test_every_answer_of_a_broker_is_read() -> None:
    assert read(CONNACK + PUBACK + SUBACK + PINGRESP) == [
        Packet(Kind.CONNACK, codes=(0,)),
        Packet(Kind.PUBACK, 0x1234),
        Packet(Kind.SUBACK, 7, codes=(0, 0x80)),
        Packet(Kind.PINGRESP),
    ]


@given(st.lists(st.sampled_from([CONNACK, PUBACK, SUBACK, PINGRESP, b"\x30\x07\x00\x03a/bhi"])), st.data())
def test_it_does_not_matter_how_the_bytes_are_cut(said: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)))))
    incoming = Incoming(MOST)
    pieces = [raw[start:end] for start, end in itertools.pairwise([0, *cuts, len(raw)])]
    assert [packet for piece in pieces for packet in incoming.feed(piece)] == read(raw)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with contextlib.suppress(BadPacket):
        read(raw)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x30\xff\xff\xff\x7f", "268435455 bytes"),
        (b"\x30\xff\xff\xff\xff\x01", "length"),
        (b"\x10\x00", "not for a client"),
        (b"\x00\x00", "not for a client"),
        (b"\x41\x02\x00\x01", "reserved"),
        (b"\x20\x03\x00\x00\x00", "CONNACK of 3 bytes"),
        (b"\x90\x02\x00\x01", "SUBACK of 2 bytes"),
        (b"\x34\x05\x00\x01a\x00\x01", "QoS 2"),
        (b"\x30\x02\x00\x09", "topic"),
        (b"\x32\x03\x00\x01a", "topic"),
        (b"\x30\x04\x00\x02\xff\xff", "UTF-8"),
    ],
)
def test_what_is_no_packet_for_a_client_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(BadPacket, match=why):
        read(raw)
