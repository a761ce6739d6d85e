"""JSON text that gives back exactly the value that it was made from.

Plain JSON wherever JSON can tell the value; the few that it cannot (bytes, NaN and infinities, texts with the two
halves of a surrogate pair) are objects with one reserved key. A record's own object that looks like one of these is
wrapped too, so nothing is ever taken for something else.
"""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    # The settings lead here, and commands that decode nothing do without the whole codec.
    from farshore_protocol.columns import Value

BYTES: Final = "$bytes"
FLOAT: Final = "$float"
TEXT: Final = "$text"
OBJECT: Final = "$object"

_PLAIN: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ESCAPED: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))
_SPLIT_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
"""Two code points that JSON's escapes would join into one."""


def dumps(value: Value) -> str:
    """The text of `value`: null, bool, int, float, str, bytes, and lists and dicts of them. Always valid UTF-8."""
    try:
        text = _PLAIN.encode(value)
        text.encode()
    except (ValueError, TypeError):  # NaN; a lone surrogate; bytes
        return _ESCAPED.encode(_wrap(value))
    return _ESCAPED.encode(_wrap(value)) if '"$' in text else text


def loads(text: str) -> Value:
    """The value that `dumps` was given."""
    value: Value = json.loads(text, object_pairs_hook=_unwrap if '"$' in text else None)
    return value


def _wrap(value: Value) -> Value:
    if isinstance(value, bytes):
        return {BYTES: base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: struct.pack(">d", value).hex()}
    if isinstance(value, str) and _SPLIT_PAIR.search(value):
        return {TEXT: base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()}
    if isinstance(value, list):
        return [_wrap(each) for each in value]
    if isinstance(value, dict):
        return _wrap_object(value)
    return value


def _wrap_object(value: dict[str, Value]) -> dict[str, Value]:
    wrapped = {key: _wrap(each) for key, each in value.items()}
    if (len(value) == 1 and _READERS.keys() & value.keys()) or any(map(_SPLIT_PAIR.search, value)):
        return {OBJECT: [[_wrap(key), each] for key, each in wrapped.items()]}
    return wrapped


def _unwrap(pairs: list[tuple[str, Any]]) -> Value:
    if len(pairs) == 1 and (read := _READERS.get(pairs[0][0])):
        return read(pairs[0][1])
    return dict(pairs)


def _read_float(text: str) -> float:
    value: float = struct.unpack(">d", bytes.fromhex(text))[0]
    return value


def _read_text(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "surrogatepass")


_READERS: Final[dict[str, Callable[[Any], Value]]] = {
    BYTES: base64.b64decode,
    FLOAT: _read_float,
    TEXT: _read_text,
    OBJECT: dict,
}
