"""A compression dictionary: records of a stream, which both sides hold, encoded as a batch of their own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Immutable, and named by its content.

    Attributes:
        content: the dictionary's bytes, to be stored and sent.
        id: the first 8 bytes of the content's SHA-256.
    """

    content: bytes
    id: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", hashlib.sha256(self.content).digest()[:ID_BYTES])
