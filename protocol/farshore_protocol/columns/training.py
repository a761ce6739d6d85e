"""Making a dictionary from a stream's own recent records."""

from __future__ import annotations

from typing import Final

from farshore_protocol.columns.codec import encode
from farshore_protocol.columns.dictionary import Dictionary
from farshore_protocol.columns.limits import MAX_DICTIONARY_RECORDS
from farshore_protocol.columns.plan import Effort
from farshore_protocol.columns.values import Columns
from farshore_protocol.limits import KIB

DEFAULT_DICTIONARY_BYTES: Final = 64 * KIB
_MAX_TRIES: Final = 6


def train_dictionary(columns: Columns, *, max_bytes: int = DEFAULT_DICTIONARY_BYTES) -> Dictionary:
    """A dictionary of as many of the last records as `max_bytes` hold.

    Raises:
        ValueError: not even one record fits.
    """
    count = min(columns.count, MAX_DICTIONARY_RECORDS)
    for _ in range(_MAX_TRIES):
        content = encode(columns.slice(columns.count - count, columns.count), effort=Effort.SMALL)
        if len(content) <= max_bytes:
            return Dictionary(content)
        count = int(count * max_bytes / len(content) * 0.95)
    raise ValueError(f"a dictionary of {max_bytes} bytes holds none of these records")
