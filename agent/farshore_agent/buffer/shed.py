"""Making room in the file, and giving up what is too old: always with a receipt in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from farshore_agent.buffer import summary
from farshore_agent.buffer.chunk import Damaged, encode_chunks
from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.hours import of_batch, of_chunk
from farshore_agent.buffer.outbox import drop_batch
from farshore_agent.buffer.receipts import GivenUp, give_up
from farshore_agent.buffer.room import SLACK_PART, Candidate, Demand, Kind, by_urgency, choose, reserve_bytes
from farshore_agent.buffer.streams import StreamRow, all_streams, stream_by_id
from farshore_agent.buffer.tail import Addition, Chunk, add_inside, checked, drop_chunks
from farshore_agent.settings import StreamPolicies, WhenFull
from farshore_protocol.hours import Hours, hour_of
from farshore_protocol.messages import Reason
from farshore_protocol.names import HOURLY, companion_of
from farshore_protocol.ranges import RangeSet

CANDIDATES_PER_STREAM: Final = 64
RETAINED_PER_STEP: Final = 256
CLOCK_WAS_SET_US: Final = 1_735_689_600_000_000
"""2025-01-01. What was appended before it has no known age: the clock had not been set."""


@dataclass(frozen=True, slots=True)
class Life:
    """The life that gives out sequences."""

    id: int
    incarnation: bytes


class Shedder:
    """Keeps the file within its bound."""

    def __init__(self, database: Database, max_bytes: int, policies: StreamPolicies) -> None:
        self._database = database
        self._policies = policies
        self._slack_bytes = max_bytes // SLACK_PART
        self._bound_bytes = max_bytes - reserve_bytes(max_bytes)
        self.disk_bytes: int | None = None

    @property
    def used_share(self) -> float:
        """How full the buffer is, from 0 to 1 (and a little more)."""
        return self._database.used_bytes() / self._bound_bytes

    def free_bytes(self) -> int:
        """Room for records. When the disk is full, only what is free inside the file."""
        bound = self._bound_bytes if self.disk_bytes is None else min(self._bound_bytes, self.disk_bytes)
        return bound - self._database.used_bytes()

    def make_room(self, demands: Sequence[Demand], life: Life, now_us: int) -> set[str]:
        """Free what the demands need, as far as the policies allow; the streams that have to be refused."""
        free = self.free_bytes()
        if sum(demand.cost_bytes for demand in demands) <= free:
            return set()
        refused: set[str] = set()
        promised = 0
        for demand in by_urgency(demands):
            if self._free_up(promised + demand.cost_bytes, demand.priority, life, now_us):
                promised += demand.cost_bytes
            else:
                refused.add(demand.stream)
        return refused

    def _free_up(self, needed: int, priority: int, life: Life, now_us: int) -> bool:
        while (short := needed - self.free_bytes()) > 0:
            wanted = max(short, self._slack_bytes)
            if not self._drop_retained(wanted) and not self._shed(wanted, priority, life, now_us):
                return False
        return True

    def _drop_retained(self, wanted: int) -> int:
        """Drop acknowledged batches, oldest first; how many."""
        dropped = 0
        with self._database.transaction():
            for batch, size in self._database.rows("retained_before", 2**62, RETAINED_PER_STEP):
                if wanted <= 0:
                    break
                drop_batch(self._database, batch)
                wanted -= size
                dropped += 1
        return dropped

    def _shed(self, wanted: int, priority: int, life: Life, now_us: int) -> int:
        """Give up records that the policies allow to go; how many batches and chunks."""
        chosen = choose(self._candidates(wanted, priority), wanted, below=priority)
        if chosen:
            with self._database.transaction():
                for stream, parts in _by_stream(chosen).items():
                    self._give_up(stream_by_id(self._database, stream), parts, life, now_us)
        return len(chosen)

    def _candidates(self, wanted: int, priority: int) -> Iterator[Candidate]:
        """The oldest parts of the streams, lowest priority first, until there is enough to choose from."""
        rows = sorted((row for row in all_streams(self._database) if row.held), key=lambda row: row.priority)
        level, size = -1, 0
        for row in rows:
            if row.priority > priority or (row.priority > level and size > wanted):
                return
            level = row.priority
            if self._policies.of(row.name).when_full is not WhenFull.REFUSE:
                for candidate in oldest_parts(self._database, row, self._policies):
                    size += candidate.size
                    yield candidate

    def _give_up(self, row: StreamRow, parts: list[Candidate], life: Life, now_us: int) -> None:
        stays = self._summary(row, parts) if parts[0].when_full is WhenFull.THIN else {}
        hours = hours_of_parts(self._database, parts)
        drop_parts(self._database, row, parts)
        ranges = RangeSet.of(*((part.first, part.last) for part in parts))
        why = GivenUp(Reason.EVICTED, now_us, "the buffer was full", hours=hours)
        if stays:
            why = replace(self._write_summary(row, stays, life, now_us), hours=hours)
        give_up(self._database, row.id, ranges, why)

    def _summary(self, row: StreamRow, parts: Iterable[Candidate]) -> summary.Summary:
        return summary.joined(self._summary_of(row, part) for part in parts)

    def _summary_of(self, row: StreamRow, part: Candidate) -> summary.Summary:
        if part.kind is Kind.BATCH:
            found = self._database.row("summary_of", part.id)
            return summary.unpack(found[0]) if found else {}
        *values, body = self._database.the_row("one_chunk", part.id)
        chunk = Chunk(*values)
        try:
            columns = checked(row, chunk, body)
        except Damaged:
            return {}
        return summary.summarise(columns, self._policies.of(row.name).time_field, chunk.appended_us)

    def _write_summary(self, row: StreamRow, stays: summary.Summary, life: Life, now_us: int) -> GivenUp:
        """Append the summary to the companion stream of the present life; the receipt that names it."""
        name = companion_of(row.name, HOURLY)
        hours = [hour for hour, _ in stays]
        chunks = list(encode_chunks(list(summary.records_of(stays)), max_records=summary.MAX_SERIES))
        runs = [(hour_of(hour), 1) for hour, _ in sorted(stays)]
        addition = Addition(name, chunks, min(hours), max(hours), runs)
        first, last = add_inside(self._database, (life.id, life.incarnation), addition, self._policies, now_us)
        detail = f"the buffer was full; the summary is in incarnation {life.incarnation.hex()}"
        return GivenUp(Reason.THINNED, now_us, detail, (name, first, last))


def oldest_parts(database: Database, row: StreamRow, policies: StreamPolicies) -> Iterator[Candidate]:
    """The oldest batches and then chunks of a stream that the hub does not have."""
    policy = policies.of(row.name)
    sources = ((Kind.BATCH, "oldest_batches"), (Kind.CHUNK, "oldest_chunks"))
    for kind, query in sources:
        for part, first, last, size, since_us in database.rows(query, row.id, CANDIDATES_PER_STREAM):
            yield Candidate(kind, part, row.id, row.name, row.priority, first, last, size, since_us, policy.when_full)


def hours_of_parts(database: Database, parts: Iterable[Candidate]) -> dict[tuple[int, int], Hours]:
    """The hours of batches and chunks that are about to go."""
    of = {Kind.BATCH: of_batch, Kind.CHUNK: of_chunk}
    return {(part.first, part.last): of[part.kind](database, part.id) for part in parts}


def drop_parts(database: Database, row: StreamRow, parts: Iterable[Candidate]) -> None:
    """Remove batches and chunks. Inside the transaction that writes their receipts."""
    for part in parts:
        if part.kind is Kind.BATCH:
            drop_batch(database, part.id)
        else:
            *values, _ = database.the_row("one_chunk", part.id)
            drop_chunks(database, row.id, [Chunk(*values)])


def _by_stream(parts: Iterable[Candidate]) -> dict[int, list[Candidate]]:
    grouped: dict[int, list[Candidate]] = {}
    for part in parts:
        grouped.setdefault(part.stream_id, []).append(part)
    return grouped
