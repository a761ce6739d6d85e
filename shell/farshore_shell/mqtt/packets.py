"""MQTT 3.1.1 as a client speaks it: values to bytes and back, without I/O. OASIS Standard, 29 October 2014.

Whatever comes is bounded before memory is spent on it: a packet may announce 256 MiB.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

MAX_LENGTH_BYTES: Final = 4
PINGREQ: Final = b"\xc0\x00"
NOT_GRANTED: Final = 0x80
"""A subscription that the broker does not allow."""

_PROTOCOL: Final = b"\x00\x04MQTT\x04"
_CLEAN_SESSION: Final = 0x02
_WILL_QOS_1: Final = 0x0C
_WILL_RETAIN: Final = 0x20
_PASSWORD: Final = 0x40
_USERNAME: Final = 0x80
_RETAIN: Final = 0x01
_QOS_1: Final = 0x02
_QOS_2: Final = 0x04
_SUBSCRIBE: Final = 0x82
_ID_BYTES: Final = 2
_FLAGS: Final = 0x0F
_LOW_BITS: Final = 0x7F
_MORE: Final = 0x80


class BadPacket(Exception):
    """What came is not MQTT 3.1.1, or too large. The text says which."""


class Kind(enum.IntEnum):
    """Packets that a client may be sent."""

    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBACK = 9
    PINGRESP = 13


@dataclass(frozen=True, slots=True)
class Message:
    """What is published. `retain`: the broker keeps it for those who come later; on one that came: it was kept."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Hello:
    """How a client introduces itself. The session is a clean one: nothing is kept for it while it is away.

    Attributes:
        client_id: the broker lets one client of that name be connected at a time.
        keepalive_s: in whole seconds; the broker gives up on a client that was silent for one and a half of them.
        will: what the broker publishes when the client is gone without a word.
        username: none where it is empty.
    """

    client_id: str
    keepalive_s: int
    will: Message | None = None
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet that came.

    Attributes:
        id: which of our packets it answers, or under which name a message wants to be acknowledged; 0: none.
        codes: what the broker says to a connection or to subscriptions.
        message: what was published.
    """

    kind: Kind
    id: int = 0
    codes: tuple[int, ...] = ()
    message: Message | None = None


def connect(hello: Hello) -> bytes:
    """The first packet of a connection."""
    flags, payload = _CLEAN_SESSION, _text(hello.client_id)
    if will := hello.will:
        flags |= _WILL_QOS_1 | (_WILL_RETAIN if will.retain else 0)
        payload += _text(will.topic) + len(will.payload).to_bytes(2, "big") + will.payload
    if hello.username:
        flags |= _USERNAME | _PASSWORD
        payload += _text(hello.username) + _text(hello.password)
    return _packet(0x10, _PROTOCOL + bytes((flags,)) + hello.keepalive_s.to_bytes(2, "big") + payload)


def publish(message: Message, packet_id: int) -> bytes:
    """A message that the broker is to acknowledge (QoS 1)."""
    first = 0x30 | _QOS_1 | (_RETAIN if message.retain else 0)
    return _packet(first, _text(message.topic) + packet_id.to_bytes(2, "big") + message.payload)


def subscribe(topics: Sequence[str], packet_id: int) -> bytes:
    """Ask for what is published on these topics, at QoS 0: see `docs/decisions` for why that is enough."""
    return _packet(_SUBSCRIBE, packet_id.to_bytes(2, "big") + b"".join(_text(each) + b"\0" for each in topics))


def puback(packet_id: int) -> bytes:
    """Acknowledge a message."""
    return _packet(0x40, packet_id.to_bytes(2, "big"))


class Incoming:
    """Makes packets of the bytes that come, however they are cut. Holds one packet at most."""

    def __init__(self, max_packet_bytes: int) -> None:
        self._max_bytes = max_packet_bytes
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are complete with these bytes.

        Raises:
            BadPacket: the connection is of no more use.
        """
        self._held += data
        while (packet := self._next()) is not None:
            yield packet

    def _next(self) -> Packet | None:
        if not self._held:
            return None
        kind, length = _kind(self._held[0]), 0
        for index in range(1, MAX_LENGTH_BYTES + 1):
            if index >= len(self._held):
                return None
            byte = self._held[index]
            length |= (byte & _LOW_BITS) << (7 * (index - 1))
            if byte < _MORE:
                break
        else:
            raise BadPacket("a packet's length is no number")
        if length > self._max_bytes:
            raise BadPacket(f"a packet of {length} bytes is announced, {self._max_bytes} are the most")
        end = index + 1 + length
        if len(self._held) < end:
            return None
        packet = _read(kind, self._held[0], bytes(self._held[index + 1 : end]))
        del self._held[:end]
        return packet


def _kind(first: int) -> Kind:
    try:
        kind = Kind(first >> 4)
    except ValueError:
        raise BadPacket(f"a packet of the kind {first >> 4} is not for a client") from None
    if kind is not Kind.PUBLISH and first & _FLAGS:
        raise BadPacket(f"the flags {first & _FLAGS:#x} of a {kind.name} are reserved")
    return kind


def _read(kind: Kind, first: int, body: bytes) -> Packet:
    if kind is Kind.PUBLISH:
        return _published(first, body)
    if kind is Kind.CONNACK and len(body) == _ID_BYTES:
        return Packet(kind, codes=(body[1],))
    if kind is Kind.PUBACK and len(body) == _ID_BYTES:
        return Packet(kind, int.from_bytes(body, "big"))
    if kind is Kind.SUBACK and len(body) > _ID_BYTES:
        return Packet(kind, int.from_bytes(body[:_ID_BYTES], "big"), tuple(body[_ID_BYTES:]))
    if kind is Kind.PINGRESP and not body:
        return Packet(kind)
    raise BadPacket(f"a {kind.name} of {len(body)} bytes")


def _published(first: int, body: bytes) -> Packet:
    if first & _QOS_2:
        raise BadPacket("a message of QoS 2 was not asked for")
    at = _ID_BYTES + int.from_bytes(body[:_ID_BYTES], "big")
    id_bytes = _ID_BYTES if first & _QOS_1 else 0
    if len(body) < at + id_bytes:
        raise BadPacket("a message ends in the middle of its topic")
    try:
        topic = body[_ID_BYTES:at].decode()
    except UnicodeDecodeError:
        raise BadPacket("a topic is not UTF-8") from None
    message = Message(topic, body[at + id_bytes :], bool(first & _RETAIN))
    return Packet(Kind.PUBLISH, int.from_bytes(body[at : at + id_bytes], "big"), message=message)


def _packet(first: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while rest > _LOW_BITS:
        length.append(rest & _LOW_BITS | _MORE)
        rest >>= 7
    length.append(rest)
    return bytes((first, *length)) + body


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(_ID_BYTES, "big") + raw
