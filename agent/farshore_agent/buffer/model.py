"""What goes into the buffer and comes out of it; plain values without behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from farshore_agent.buffer.shaped import Record
from farshore_protocol.messages import Claim, Receipt


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

    records: Sequence[Record]
    oldest_us: int
    newest_us: int
    bytes: int
    refused: list[Refused]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an input has read; stored in the transaction that stores the records."""

    key: str
    value: bytes


class Appended(NamedTuple):
    """The answer to an append: the records are on disk as `first`…`last` of this incarnation.

    `first` is `last` + 1 when every record was refused.
    """

    incarnation: bytes
    first: int
    last: int
    refused: int


@dataclass(frozen=True, slots=True)
class OutboxBatch:
    """A sealed batch that the hub does not have, without its bytes.

    Attributes:
        id: its name within this buffer; ids grow in the order of sealing.
        incarnation, stream, first, count: the records that it holds.
        size: of the sealed bytes.
        digest: the batch's identity.
        priority: 0 (last) … 9 (first).
        oldest_us, newest_us: bounds of the event times.
        sealed_us: when it was sealed.
        epoch: the key epoch that opens it.
        dictionary: what it takes to read it, if anything.
    """

    id: int
    incarnation: bytes
    stream: str
    first: int
    count: int
    size: int
    digest: bytes
    priority: int
    oldest_us: int
    newest_us: int
    sealed_us: int
    epoch: bytes
    dictionary: bytes | None


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """The sealed bytes of a batch, just checked against its digest."""

    id: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What goes into the next statement; `number` was never used before, not even by a statement that was lost."""

    number: int
    claims: list[Claim]
    receipts: list[Receipt]
    whole: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """What an answer has changed.

    Attributes:
        ignored: why the answer was not applied, but for the batches that it says were stored; empty when it was.
        acknowledged_batches, acknowledged_records: what the hub has, and was not known to have.
        returned_batches: what the hub no longer has, and is sent again.
        receipts: how many receipts were written for what the hub no longer has, and the buffer neither.
        needs_whole: the hub is another one, or was restarted: the next statement has to name everything.
        forked: batches whose range the hub has with other content. The buffer has begun a new incarnation, and seals
            nothing until it is given a fresh key epoch: another process may be using the present one.
        refused: how many batches were not taken; they are sent again later.
    """

    ignored: str = ""
    acknowledged_batches: int = 0
    acknowledged_records: int = 0
    returned_batches: int = 0
    receipts: int = 0
    needs_whole: bool = False
    forked: tuple[bytes, ...] = ()
    refused: int = 0


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream in one incarnation.

    Attributes:
        head: the last sequence given out.
        pending: records that the hub does not have, sealed or not.
        oldest_us: event time of the oldest of them.
        tail_records, tail_bytes: of what is not sealed yet.
        waiting_batches, waiting_bytes: sealed, and not acknowledged.
        held_back: how many of these the hub did not take.
        receipted: records given up, by reason.
    """

    incarnation: bytes
    name: str
    priority: int
    head: int
    pending: int
    oldest_us: int | None
    tail_records: int
    tail_bytes: int
    waiting_batches: int
    waiting_bytes: int
    held_back: int
    receipted: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BufferStatus:
    """The buffer as a whole.

    Attributes:
        incarnation: of the life that gives out sequences.
        streams: by name, then by life.
        file_bytes: of the database file.
        used_bytes: of these, not free for new records.
        max_bytes: the bound on them.
        retained_batches, retained_bytes: acknowledged, and kept in case the hub loses them.
        open_receipts: receipts that the hub does not have yet.
        repairs: damage that was found in the file, newest last.
        scrubbed_us: when everything in the file was last read and checked.
        set_aside: records that could not be sealed, and are kept aside; newest last, a line for each chunk.
    """

    incarnation: bytes
    streams: list[StreamStatus]
    file_bytes: int
    used_bytes: int
    max_bytes: int
    retained_batches: int
    retained_bytes: int
    open_receipts: int
    repairs: list[str]
    scrubbed_us: int | None = None
    set_aside: list[str] = field(default_factory=list)

    @property
    def room_bytes(self) -> int:
        """How much more can be stored before something has to go."""
        return max(0, self.max_bytes - self.used_bytes)
