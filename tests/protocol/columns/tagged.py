"""Values as JSON, with a tag where JSON cannot say what is meant.

{"$float": bits}, bits in hexadecimal, for a float that is no number; {"$integer": text} over 53 bits; {"$bytes":
hexadecimal}; {"$text": code points} where there is a lone surrogate; {"$mapping": [[key, value]…]} where a key is such
a text or starts with $.
"""

from __future__ import annotations

import math
import struct
from typing import Any


def to_json(value: object) -> object:  # noqa: PLR0911  a return for each type
    """The JSON form of a value."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": struct.pack(">d", value).hex()}
    if isinstance(value, int) and not -(2**53) < value < 2**53:
        return {"$integer": str(value)}
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, str) and not _is_plain(value):
        return {"$text": list(map(ord, value))}
    if isinstance(value, list):
        return list(map(to_json, value))
    if isinstance(value, dict):
        if all(_is_plain(key) and not key.startswith("$") for key in value):
            return {key: to_json(inner) for key, inner in value.items()}
        return {"$mapping": [[to_json(key), to_json(inner)] for key, inner in value.items()]}
    return value


def keys_sorted(value: Any) -> Any:  # noqa: ANN401
    """The value with its keys in order, to compare what does not keep theirs."""
    if isinstance(value, list):
        return list(map(keys_sorted, value))
    if isinstance(value, dict):
        return {key: keys_sorted(inner) for key, inner in sorted(value.items())}
    return value


def from_json(value: Any) -> Any:  # noqa: ANN401, PLR0911  a return for each type
    """The value of a JSON form."""
    if isinstance(value, list):
        return list(map(from_json, value))
    if not isinstance(value, dict):
        return value
    tag, content = next(iter(value.items()), ("", ""))
    if tag == "$float":
        return struct.unpack(">d", bytes.fromhex(content))[0]
    if tag == "$integer":
        return int(content)
    if tag == "$bytes":
        return bytes.fromhex(content)
    if tag == "$text":
        return "".join(map(chr, content))
    if tag == "$mapping":
        return dict(map(from_json, content))
    return {key: from_json(inner) for key, inner in value.items()}


def _is_plain(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
