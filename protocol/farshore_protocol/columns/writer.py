"""Where encoders write: the three byte streams that a batch is shredded into, and the columns written so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import zstandard

from farshore_protocol.columns.history import History, Leaf
from farshore_protocol.columns.limits import DEFAULT_LIMITS

_ESTIMATOR: Final = zstandard.ZstdCompressor(level=1, write_checksum=False, write_content_size=False)
_FRAME_BYTES: Final = 9


@dataclass(slots=True)
class Writer:
    """Collects a batch, or a trial of a part of it.

    Attributes:
        history: what the dictionary knows, if there is one.
        structure: which encodings, and their parameters, as varints.
        text: characters and bytes.
        planes: byte planes of numbers.
        leaves: every leaf of the batch written so far, in order; the decoder has the same list.
        masks: every tag sequence of a mixed column, likewise.
        is_inside_prediction: whether this holds what a prediction has missed; a second one is not tried there.
        columns: how many columns were begun.
    """

    history: History | None = None
    structure: bytearray = field(default_factory=bytearray)
    text: list[bytes] = field(default_factory=list)
    planes: list[bytes] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    masks: list[bytes] = field(default_factory=list)
    is_inside_prediction: bool = False
    columns: int = 0

    def begin_column(self) -> None:
        """Count one more column.

        Raises:
            ValueError: it would be more than a decoder takes.
        """
        self.columns += 1
        if self.columns > DEFAULT_LIMITS.max_columns:
            raise ValueError(f"the records have more than {DEFAULT_LIMITS.max_columns} columns, nested ones included")

    def uint(self, value: int) -> None:
        """A number from 0 as a little-endian base-128 varint."""
        while value > 0x7F:
            self.structure.append(value & 0x7F | 0x80)
            value >>= 7
        self.structure.append(value)

    def sint(self, value: int) -> None:
        """A number of either sign: 0, -1, 1, -2 become 0, 1, 2, 3 and so on."""
        self.uint(value << 1 if value >= 0 else (-value << 1) - 1)

    def fork(self) -> Writer:
        """An empty writer for a trial. It shares the columns written so far; what it adds has to be taken back."""
        return Writer(
            self.history, leaves=self.leaves, masks=self.masks, is_inside_prediction=self.is_inside_prediction
        )

    def adopt(self, trial: Writer) -> None:
        """Append the bytes that a trial has written."""
        self.structure += trial.structure
        self.text += trial.text
        self.planes += trial.planes

    def cost(self) -> int:
        """About how many bytes this will take in the end."""
        return len(self.structure) + _estimate(b"".join(self.text)) + _estimate(b"".join(self.planes))


def _estimate(raw: bytes) -> int:
    return min(len(raw), max(1, len(_ESTIMATOR.compress(raw)) - _FRAME_BYTES)) if raw else 0
