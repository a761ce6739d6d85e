"""Decoders for lines of one shape, learnt from the lines themselves.

Most streams send the same keys for years. Once a shape was seen twice at the head of a body it gets a decoder of its
own, which checks keys and types as it reads; lines that are otherwise go the general way.
"""

from __future__ import annotations

from collections import OrderedDict
from operator import itemgetter
from typing import Any, Final

import msgspec

from farshore_agent.buffer.shaped import Shaped, are_shapable, make_shape
from farshore_protocol.limits import MAX_RECORD_FIELDS

MIN_BYTES: Final = 4096
"""A shorter body is read sooner than its shape is looked up."""

MAX_SHAPES: Final = 256

_RECORD: Final = msgspec.json.Decoder(dict[str, Any])
_FIRST: Final = itemgetter(slice(1))
_BRACE: Final = {b"{"}
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Shapes:
    """The shapes that were seen lately; the least used are forgotten."""

    def __init__(self) -> None:
        self._decoders: OrderedDict[tuple[str, ...], msgspec.json.Decoder[Any] | None] = OrderedDict()

    def decode_lines(self, lines: list[bytes], body: bytes) -> list[Shaped] | None:
        """The records of lines that are all of one known shape, without blank ones; None when that is not so.

        `body` is what was split into `lines`.
        """
        if len(body) < MIN_BYTES:
            return None
        try:
            decoder = self._decoder(tuple(_RECORD.decode(lines[0])))
            records: list[Shaped] = decoder.decode_lines(body) if decoder else []
        except _UNREADABLE:
            return None
        # The decoder does not heed line ends: two objects in one line, or one in two, must not pass. A plain record
        # has its only opening brace at its start.
        return records if len(records) == len(lines) and set(map(_FIRST, lines)) == _BRACE else None

    def _decoder(self, keys: tuple[str, ...]) -> msgspec.json.Decoder[Any] | None:
        known = keys in self._decoders
        decoder = self._decoders.pop(keys, None)
        if known and decoder is None and 0 < len(keys) <= MAX_RECORD_FIELDS and are_shapable(keys):
            decoder = msgspec.json.Decoder(make_shape(keys))
        self._decoders[keys] = decoder
        if len(self._decoders) > MAX_SHAPES:
            self._decoders.popitem(last=False)
        return decoder
