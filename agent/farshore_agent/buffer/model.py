"""What goes into the buffer and comes out of it; plain values without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that a door did not admit.

    Attributes:
        line: its line in a text, or its place in a list; from 1.
        field: the field that is at fault, where one is.
        why: the reason, for people.
        raw: what was given, as text, cut to a bound.
    """

    line: int
    field: str | None
    why: str
    raw: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a door hands over: records whose form and event times were checked, and what it refused.

    Attributes:
        records: in the order in which they were given.
        oldest_us, newest_us: their event times' bounds; 0 when there are none.
        bytes: their size as JSON text, roughly; for the bounds.
        refused: in the order in which they were given.
    """

    records: list[dict[str, Any]]
    oldest_us: int
    newest_us: int
    bytes: int
    refused: list[Refused]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an input has read; stored in the transaction that stores the records."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to an append: the records are on disk as `first`…`last` of this incarnation.

    `first` is `last` + 1 when every record was refused.
    """

    incarnation: bytes
    first: int
    last: int
    refused: int
