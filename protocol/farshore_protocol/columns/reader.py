"""Where decoders read: the three byte streams of a batch, and the account of what decoding may still cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from farshore_protocol.columns.history import History, Leaf
from farshore_protocol.columns.limits import DecodeError, DecodeLimits
from farshore_protocol.columns.vectors import LISTS, Vectors

T = TypeVar("T")

_MAX_VARINT_BITS = 70

MAX_NESTING = 32
"""Encodings of one column inside one another: what an encoder writes needs about half."""


@dataclass(slots=True)
class Reader:
    """Reads a batch from the front. Every method raises DecodeError rather than reach past an end or a limit."""

    structure: bytes
    text: bytes
    planes: bytes
    limits: DecodeLimits
    history: History | None = None
    vectors: Vectors = LISTS
    leaves: list[Leaf] = field(default_factory=list)
    masks: list[bytes] = field(default_factory=list)
    _structure_at: int = 0
    _text_at: int = 0
    _planes_at: int = 0
    _nesting: int = 0
    _columns: int = 0
    _cells: int = 0
    _chars: int = 0

    def fork(self, structure: bytes) -> Reader:
        """A reader of numbers that stand elsewhere."""
        return Reader(structure, b"", b"", self.limits)

    def fail(self, what: str) -> DecodeError:
        """The error to raise, with the place."""
        return DecodeError(f"{what} (structure byte {self._structure_at} of {len(self.structure)})")

    def uint(self) -> int:
        """A varint."""
        value = shift = 0
        structure, at = self.structure, self._structure_at
        while shift < _MAX_VARINT_BITS:
            if at >= len(structure):
                raise self.fail("the structure ends inside a number")
            byte = structure[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                self._structure_at = at
                return value
        raise self.fail("a number is longer than 10 bytes")

    def peek(self) -> int:
        """The next byte of the structure, which stays; -1 at its end."""
        at = self._structure_at
        return self.structure[at] if at < len(self.structure) else -1

    def sint(self) -> int:
        """A number of either sign."""
        value = self.uint()
        return (value >> 1) ^ -(value & 1)

    def bounded(self, bound: int, what: str) -> int:
        """A varint of at most `bound`."""
        value = self.uint()
        if value > bound:
            raise self.fail(f"{what} is {value}, which is over {bound}")
        return value

    def plane(self, length: int) -> bytes:
        """The next bytes of the planes."""
        end = self._planes_at + length
        if end > len(self.planes):
            raise self.fail(f"the planes end before {length} more bytes")
        taken = self.planes[self._planes_at : end]
        self._planes_at = end
        return taken

    def chars(self, length: int) -> bytes:
        """The next bytes of the text."""
        end = self._text_at + length
        if end > len(self.text):
            raise self.fail(f"the text ends before {length} more bytes")
        taken = self.text[self._text_at : end]
        self._text_at = end
        return taken

    def dispatch(self, decoders: Mapping[int, T], what: str) -> T:
        """What to decode with, by the next number of the structure."""
        code = self.uint()
        decoder = decoders.get(code)
        if decoder is None:
            raise self.fail(f"unknown {what} {code}")
        return decoder

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Encodings inside one another; they are bounded so that the stack is."""
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self.fail(f"encodings are more than {MAX_NESTING} deep")
        yield
        self._nesting -= 1

    def charge_column(self, depth: int) -> None:
        """Account for one more column, `depth` mappings and lists deep."""
        self._columns += 1
        if self._columns > self.limits.max_columns:
            raise self.fail(f"more than {self.limits.max_columns} columns")
        if depth > self.limits.max_depth:
            raise self.fail(f"mappings and lists are more than {self.limits.max_depth} deep")

    def charge_cells(self, count: int) -> None:
        """Account for `count` values that are about to be made."""
        self._cells += count
        if self._cells > self.limits.max_cells:
            raise self.fail(f"more than {self.limits.max_cells} values")

    def charge_chars(self, count: int) -> None:
        """Account for text of `count` characters that is about to be made."""
        self._chars += count
        if self._chars > self.limits.max_text_chars:
            raise self.fail(f"more than {self.limits.max_text_chars} characters of text")

    def charge_repeated(self, texts: list[str]) -> None:
        """Account for texts that may be the same ones many times over."""
        self.charge_chars(sum(map(len, texts)))

    def finish(self) -> None:
        """Check that everything was read."""
        left = (
            len(self.structure) - self._structure_at,
            len(self.text) - self._text_at,
            len(self.planes) - self._planes_at,
        )
        if any(left):
            raise self.fail(f"{left[0]} bytes of structure, {left[1]} of text and {left[2]} of planes are left over")
