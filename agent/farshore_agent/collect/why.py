"""What was wrong with a text that is no record, in words that its sender understands, and the text itself to keep."""

from __future__ import annotations

import json
import reprlib
from typing import Final

from farshore_agent.collect.form import NotAdmitted, check_record
from farshore_protocol.limits import KIB, MAX_INTEGER_BITS, MAX_RECORD_DEPTH

MAX_RAW_CHARS: Final = 64 * KIB
"""How much of a refused record is kept."""

_LONGEST_DIGITS: Final = 400
"""A few more than the largest integer of a record has."""

_ESCAPES: Final = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}
"""Of bytes that are no UTF-8, as "surrogateescape" decodes them."""

_BOUNDED: Final = reprlib.Repr()
_BOUNDED.maxstring = _BOUNDED.maxother = 4 * KIB
_BOUNDED.maxlist = _BOUNDED.maxdict = 100


def read_leniently(text: bytes) -> object:
    """The value of a JSON text that may hold NaN, infinities and half surrogate pairs.

    An integer beyond any that a record may hold is given as one that is just beyond, so that its field can be named.

    Raises:
        NotAdmitted: it is no JSON even so.
    """
    try:
        return json.loads(text.decode(), parse_int=_integer)
    except UnicodeDecodeError as bad:
        raise NotAdmitted(f"not UTF-8 at byte {bad.start + 1}") from None
    except json.JSONDecodeError as bad:
        raise NotAdmitted(f"not JSON: {bad.msg} at character {bad.pos + 1}") from None
    except RecursionError:
        raise NotAdmitted(f"nested deeper than {MAX_RECORD_DEPTH} levels") from None


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= _LONGEST_DIGITS else 1 << MAX_INTEGER_BITS


def why_not(text: bytes, error: Exception) -> NotAdmitted:
    """Why the decoder refused `text` with `error`. A second, more lenient reader often finds the field."""
    try:
        check_record(read_leniently(text))
    except NotAdmitted as found:
        return found
    return NotAdmitted(f"not JSON: {error}")


def raw_text(raw: object) -> str:
    """What was given, as text that can be stored."""
    if isinstance(raw, bytes):
        # As decoding with "backslashreplace" has it, which takes a microsecond for each byte that is no text.
        return raw[: 4 * MAX_RAW_CHARS].decode(errors="surrogateescape").translate(_ESCAPES)[:MAX_RAW_CHARS]
    try:
        text = json.dumps(raw, default=_BOUNDED.repr)
    except (TypeError, ValueError, RecursionError):
        text = _shown(raw)
    return text[:MAX_RAW_CHARS].encode(errors="backslashreplace").decode()


def _shown(raw: object) -> str:
    try:
        return _BOUNDED.repr(raw)
    except (ValueError, RecursionError):
        return f"a {type(raw).__name__} that cannot be shown"
