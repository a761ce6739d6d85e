"""Sealing: the front of a stream's tail → columns → bytes → a batch under the epoch's key, stored in its chunks' place.

Always: a counter is used once, even if what was sealed under it is never stored; a batch is consecutive whole chunks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from farshore_agent.buffer import summary as summaries
from farshore_agent.buffer.aside import put_aside
from farshore_agent.buffer.chunk import Damaged
from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.dictionaries import Dictionaries
from farshore_agent.buffer.fresh import Fresh, SealedAddition, portions
from farshore_agent.buffer.group import StreamGroup
from farshore_agent.buffer.outbox import Sealing, has_dictionary, store_dictionary, store_sealed
from farshore_agent.buffer.plans import Plans
from farshore_agent.buffer.seal_policy import Due, effort_for
from farshore_agent.buffer.streams import StreamRow, stream_by_id
from farshore_agent.buffer.tail import Chunk, drop_damaged, read_tail
from farshore_agent.errors import BufferFull
from farshore_agent.settings import SealSettings, StreamPolicies, StreamPolicy, WhenFull
from farshore_protocol.batch import BatchHeader, Kind, SealedBatch
from farshore_protocol.columns import Columns, Dictionary, Effort, encode
from farshore_protocol.limits import MIB
from farshore_protocol.sealing import EpochKey

MAX_PLAIN_BYTES: Final = 2 * MIB
"""Of one batch, before compression: a megabyte of chunks can be a hundred of text, and the hub has to open it."""

MAX_CELLS: Final = 1_000_000
"""Records times fields of one batch. A decoder counts each several times; see `farshore_protocol.columns.limits`."""

_POISON: Final = (ValueError, TypeError, OverflowError, RecursionError, KeyError, IndexError, AssertionError)
"""What the encoder raises about records. What the machine does to it (memory, disk) is not their fault."""

MAX_FIELDS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Front:
    """The consecutive chunks that become one batch."""

    chunks: list[Chunk]
    columns: Columns

    @property
    def size(self) -> int:
        """Bytes of the chunks."""
        return sum(chunk.size for chunk in self.chunks)


class Sealer:
    """Seals under one key epoch; has the plans and dictionaries of the streams."""

    def __init__(self, key: EpochKey, settings: SealSettings, policies: StreamPolicies) -> None:
        self.epoch = key.epoch
        self._key = key
        self._settings = settings
        self._policies = policies
        self._counter = 0
        self._plans = Plans()
        self._dictionaries = Dictionaries(settings.dictionary)

    def use(self, settings: SealSettings) -> None:
        """Go on under other settings."""
        if settings.dictionary is not self._settings.dictionary:
            self._dictionaries = Dictionaries(settings.dictionary)
        self._settings = settings

    @property
    def dictionaries(self) -> set[bytes]:
        """The dictionaries that the next batches may need."""
        return self._dictionaries.in_use

    def seal_fronts(
        self, database: Database, dues: Iterable[Due], now_us: int, *, link_up: bool, busy: bool
    ) -> list[Front | None]:
        """Turn the front of each tail into one batch; None where there is none. What is damaged gets a receipt instead.

        The batches are stored in one transaction.
        """
        made = [self._made(database, due, now_us, link_up=link_up, busy=busy) for due in dues]
        sealings = [each[1] for each in made if each]
        if sealings:
            store_sealed(database, sealings)
        return [each[0] if each else None for each in made]

    def _made(
        self, database: Database, due: Due, now_us: int, *, link_up: bool, busy: bool
    ) -> tuple[Front, Sealing] | None:
        row = stream_by_id(database, due.tail.stream_id)
        policy = self._policies.of(row.name)
        try:
            front = _front(database, row, self._settings)
        except Damaged:
            drop_damaged(database, row.id, now_us)
            return None
        if not front.chunks:
            return None
        effort = effort_for(policy.effort, due, self._settings, link_up=link_up, busy=busy)
        try:
            batch = self._seal_tail(database, row, front.chunks[0].first, front.columns, effort)
        except _POISON:
            smaller = self._without_poison(database, row, front, now_us)
            if smaller is None:
                return None
            front, batch = smaller
        summary = _summary(front.columns, policy, front.chunks[0].appended_us)
        return front, Sealing(row, front.chunks, batch, summary, now_us)

    def _without_poison(
        self, database: Database, row: StreamRow, front: Front, now_us: int
    ) -> tuple[Front, SealedBatch] | None:
        """Put the first chunk aside that cannot be sealed by itself; if there is none, seal the first one alone."""
        self._plans.forget(row.name)
        chunk, columns = front.chunks[0], front.columns.slice(0, front.chunks[0].count)
        for each, records in read_tail(database, row):
            if each.last > front.chunks[-1].last:
                break
            try:
                encode(records, effort=Effort.FAST)
            except _POISON as error:
                put_aside(database, row, each, error, now_us)
                return None
        alone = Front([chunk], columns)
        try:
            return alone, self._seal_tail(database, row, chunk.first, columns, Effort.FAST)
        except _POISON as error:
            put_aside(database, row, chunk, error, now_us)
            return None

    def seal_fresh(self, row: StreamRow, group: StreamGroup, now_us: int) -> SealedAddition | None:
        """Seal records that get the next sequences of their stream; None where they have to go through the tail.

        Without a dictionary: so many records hardly need one, and to try one takes as long as to seal them a hundred
        times.
        """
        rules = self._settings
        # As if nothing could be compressed: what came out too large would have been sealed in vain, every time.
        most = min(MAX_PLAIN_BYTES, rules.max_bytes)
        cut = portions(group, max_records=rules.max_records, max_cells=MAX_CELLS, max_bytes=most)
        if cut is None:
            return None
        policy, head, fresh = self._policies.of(row.name), row.head, []
        try:
            for columns in cut:
                batch = self._seal_records(row, head + 1, columns, Effort.FAST)
                if len(columns.fields) > MAX_FIELDS or len(batch.raw) > rules.max_bytes:
                    return None
                fresh.append(Fresh(batch, _summary(columns, policy, now_us)))
                head = batch.header.last
        except _POISON:
            self._plans.forget(row.name)
            return None
        return SealedAddition(row, group, fresh)

    def _seal_tail(
        self, database: Database, row: StreamRow, first: int, columns: Columns, effort: Effort
    ) -> SealedBatch:
        return self._seal_records(row, first, columns, effort, self._dictionary(database, row, columns))

    def _seal_records(
        self, row: StreamRow, first: int, columns: Columns, effort: Effort, dictionary: Dictionary | None = None
    ) -> SealedBatch:
        plan = self._plans.of(row.name, columns)
        body = encode(columns, effort=effort, plan=plan, dictionary=dictionary)
        return self._key.seal(self._header(Kind.RECORDS, row, first, columns.count, dictionary), body)

    def _dictionary(self, database: Database, row: StreamRow, columns: Columns) -> Dictionary | None:
        dictionary = self._dictionaries.for_batch(row.name, columns)
        # The file is asked, not the memory: storing it may have failed, or it was damaged and dropped since.
        if dictionary and not has_dictionary(database, dictionary.id):
            header = self._header(Kind.DICTIONARY, row, 0, 0, None)
            try:
                store_dictionary(database, dictionary.id, self._key.seal(header, dictionary.content))
            except BufferFull:
                # A batch takes the place of its chunks; a dictionary takes room, and sealing is what makes some.
                return None
        return dictionary

    def _header(self, kind: Kind, row: StreamRow, first: int, count: int, dictionary: Dictionary | None) -> BatchHeader:
        counter = self._counter
        self._counter += 1
        name = dictionary.id if dictionary else None
        return BatchHeader(kind, row.incarnation, self.epoch, counter, row.name, first, count, name)


def _front(database: Database, row: StreamRow, settings: SealSettings) -> Front:
    chunks: list[Chunk] = []
    parts: list[Columns] = []
    fields: set[str] = set()
    for chunk, columns in read_tail(database, row):
        fields.update(columns.fields)
        if chunks and not _fits([*chunks, chunk], len(fields), settings):
            break
        chunks.append(chunk)
        parts.append(columns)
    return Front(chunks, Columns.concat(parts))


def _fits(chunks: list[Chunk], fields: int, settings: SealSettings) -> bool:
    records = sum(chunk.count for chunk in chunks)
    return (
        records <= settings.max_records
        and sum(chunk.size for chunk in chunks) <= settings.max_bytes
        and sum(chunk.plain_size for chunk in chunks) <= MAX_PLAIN_BYTES
        and records * fields <= MAX_CELLS
        and fields <= MAX_FIELDS
    )


def _summary(columns: Columns, policy: StreamPolicy, appended_us: int) -> bytes | None:
    if policy.when_full is not WhenFull.THIN:
        return None
    return summaries.pack(summaries.summarise(columns, policy.time_field, appended_us))
