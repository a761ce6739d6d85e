"""Records that are sealed as they come: one commit brings the batch, and they are never in the tail.

To write many records into the tail, read them again and seal them costs as much as sealing them does. Whoever asks for
haste and hands over much of a batch at once is spared it; nothing of it ever stands on the disk unsealed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.group import StreamGroup
from farshore_agent.buffer.hours import count, cut
from farshore_agent.buffer.outbox import Sealed, add_sealed
from farshore_agent.buffer.shaped import uniform_columns
from farshore_agent.buffer.streams import StreamRow
from farshore_agent.buffer.tail import cost_of
from farshore_protocol.batch import SealedBatch
from farshore_protocol.columns import Columns
from farshore_protocol.limits import MIB

MAX_FRESH_BYTES: Final = 8 * MIB
"""As JSON text. What is in the tail is measured chunk by chunk; of this only the sum is known, and the hub opens it."""

CELL_BYTES: Final = 9
"""A number as MessagePack has it; short ones are longer than as text."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A sealed batch of records that are on no disk yet, and what stays of it if it is thinned."""

    batch: SealedBatch
    summary: bytes | None


@dataclass(frozen=True, slots=True)
class SealedAddition:
    """Sealed records that a commit adds to one stream; what `tail.Addition` is for those that are not.

    Attributes:
        row: the stream as it was when they were sealed: their sequences follow its head.
        group: what they are; its event times bound all of them, and its hours tell each.
    """

    row: StreamRow
    group: StreamGroup
    fresh: list[Fresh]

    @property
    def stream(self) -> str:
        """Its name."""
        return self.row.name

    @property
    def cost_bytes(self) -> int:
        """What the file needs for it, rather too much than too little."""
        return sum(cost_of(len(each.batch.raw) + len(each.summary or b"")) for each in self.fresh)

    def add(self, database: Database, stream: int, head: int, _incarnation: bytes, now_us: int) -> int:
        """Store it; the new head. Inside the transaction of the commit."""
        if (stream, head) != (self.row.id, self.row.head):
            raise RuntimeError("sequences were given out since these records were sealed")
        spread = cut(self.group.hours, (each.batch.header.count for each in self.fresh))
        for each, hours in zip(self.fresh, spread, strict=True):
            times = (self.group.oldest_us, self.group.newest_us, now_us, now_us)
            add_sealed(database, Sealed(self.row, each.batch, each.summary, *times, hours))
            count(database, stream, hours)
        last = self.fresh[-1].batch.header.last
        database.run("advance_stream", stream, last, 0, 0)
        return last


def portions(group: StreamGroup, *, max_records: int, max_cells: int, max_bytes: int) -> Iterator[Columns] | None:
    """The records in equal parts, each for one batch within these bounds; None where the tail has to measure them."""
    if group.size > MAX_FRESH_BYTES:
        return None
    fields = uniform_columns(group.records)
    if not fields:
        return None
    whole = Columns(len(group.records), fields)
    record_bytes = group.size / whole.count + CELL_BYTES * len(fields)
    most = min(max_records, max_cells // len(fields), int(max_bytes / record_bytes))
    return _cut(whole, -(-whole.count // most)) if most else None


def _cut(whole: Columns, parts: int) -> Iterator[Columns]:
    for part in range(parts):
        start, stop = whole.count * part // parts, whole.count * (part + 1) // parts
        fields = {key: column[start:stop] for key, column in whole.fields.items()} if parts > 1 else whole.fields
        yield Columns(stop - start, fields)
