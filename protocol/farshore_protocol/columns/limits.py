"""What decoding may cost, whatever the bytes say, and the error that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farshore_protocol.limits import MAX_BATCH_RECORDS, MAX_BODY_BYTES, MIB

MAX_DEPTH: Final = 64
"""Lists and mappings inside one another that can be encoded, and the deepest a decoder goes."""

MAX_ZSTD_WINDOW_LOG: Final = 23
"""A zstd section may refer back 8 MiB. It bounds what a decompressor allocates."""


TEXT_CELLS: Final = 3
LIST_CELLS: Final = 4
MAPPING_CELLS: Final = 10
"""What a text, a list and a mapping count for: so many numbers take their memory, about 24 bytes each."""


class DecodeError(ValueError):
    """The bytes are no batch of this format, or a batch over the limits. The text says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on one batch, checked before the work is done or the memory is taken.

    Attributes:
        max_records: records in the batch.
        max_columns: columns in the batch, those of nested mappings and lists included.
        max_depth: mappings and lists inside one another.
        max_body_bytes: the sections together, inflated.
        max_cells: values made while decoding, intermediate ones included, each as so many numbers as it takes memory.
        max_text_chars: text and bytes together, every repetition counted.
    """

    max_records: int = MAX_BATCH_RECORDS
    max_columns: int = 65_536
    max_depth: int = MAX_DEPTH
    max_body_bytes: int = MAX_BODY_BYTES
    max_cells: int = 8_000_000
    max_text_chars: int = 64 * MIB


DEFAULT_LIMITS: Final = DecodeLimits()

MAX_DICTIONARY_RECORDS: Final = 10_000

DICTIONARY_LIMITS: Final = DecodeLimits(
    max_records=MAX_DICTIONARY_RECORDS, max_body_bytes=16 * MIB, max_cells=2_000_000, max_text_chars=32 * MIB
)
"""A dictionary stays in memory as long as it is in use."""
