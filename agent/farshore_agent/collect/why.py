"""What was wrong with a text that is no record, in words that its sender understands, and the text itself to keep."""

from __future__ import annotations

import hashlib
import json
import reprlib
from typing import Final

from farshore_agent.collect.form import NotAdmitted, check_record
from farshore_protocol.limits import KIB, MAX_INTEGER_BITS, MAX_RECORD_DEPTH, MIB

MAX_RAW_CHARS: Final = 64 * KIB
"""How much of a refused record is kept."""

MAX_RAW_CHARS_PER_CALL: Final = 16 * MIB
"""Of all that one call's records were refused for. Bytes that are no text take four times their number, and a commit
holds all of it several times over."""

_NAMED_CHARS: Final = 160
"""What takes no more is kept in any case: saying what it was would take as much."""

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


class RawTexts:
    """The texts of what one call's records were refused for; beyond a bound, what they were instead of them."""

    def __init__(self, max_chars: int = MAX_RAW_CHARS_PER_CALL) -> None:
        self._room_chars = max_chars

    def keep(self, raw: object) -> str:
        """The text to keep of one of them."""
        text = raw_text(raw)
        if len(text) > max(self._room_chars, _NAMED_CHARS):
            content = raw if isinstance(raw, bytes) else text.encode()
            text = f"(not kept, too much was refused at once: {len(content)} bytes, SHA-256 {_digest(content)})"
        self._room_chars -= len(text)
        return text


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _shown(raw: object) -> str:
    try:
        return _BOUNDED.repr(raw)
    except (ValueError, RecursionError):
        return f"a {type(raw).__name__} that cannot be shown"
