"""The small pieces that every format of the protocol is made of: varints, and typed MessagePack with bounds.

Reading never goes past the end, never returns a value out of bounds, and raises nothing but `errors.Malformed`.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from farshore_protocol.errors import Malformed, OverLimit

M = TypeVar("M")

MAX_VARINT_BYTES: Final = 9
"""63 bits: every number of the protocol fits SQL's signed 64-bit integer."""


def put_varint(out: bytearray, value: int) -> None:
    """Append `value` (0…2^63-1) as a little-endian base-128 varint (protobuf's unsigned form)."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


class Reader:
    """Reads fields off a byte string from the front.

    Raises:
        Malformed: from every method, when the bytes end too soon or hold an overlong varint.
    """

    __slots__ = ("_at", "_buffer")

    def __init__(self, buffer: bytes) -> None:
        self._buffer = buffer
        self._at = 0

    @property
    def position(self) -> int:
        """How many bytes were read."""
        return self._at

    def byte(self) -> int:
        """One byte as a number."""
        return self.take(1)[0]

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        end = self._at + count
        if end > len(self._buffer):
            raise Malformed(f"ends at byte {len(self._buffer)}, in the middle of a field")
        taken = self._buffer[self._at : end]
        self._at = end
        return taken

    def varint(self) -> int:
        """One varint, at most 63 bits."""
        value = 0
        for index in range(MAX_VARINT_BYTES):
            byte = self.byte()
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if byte == 0 and index:
                    raise Malformed("a varint is longer than it need be")
                return value
        raise Malformed("a varint is longer than 63 bits")


_ENCODER: Final = msgspec.msgpack.Encoder()


def pack(message: msgspec.Struct) -> bytes:
    """A message as MessagePack."""
    return _ENCODER.encode(message)


def unpack(decoder: msgspec.msgpack.Decoder[M], raw: bytes, *, what: str, max_bytes: int) -> M:
    """Read one message with its typed decoder.

    Raises:
        OverLimit: longer than `max_bytes`; nothing was read.
        Malformed: not MessagePack, or not of the declared types and lengths.
    """
    if len(raw) > max_bytes:
        raise OverLimit(f"{what} has {len(raw)} bytes, the bound is {max_bytes}")
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed(f"{what}: {error}") from None


def decoder_of(kind: type[M]) -> msgspec.msgpack.Decoder[M]:
    """A strict decoder for one message type. Fields that a newer peer appends are ignored."""
    return msgspec.msgpack.Decoder(kind)
