"""The outbox: sealed batches until the hub has them, and what it takes to open them.

Each public function that writes is one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from farshore_agent.buffer.connection import Database, Malformed, translated
from farshore_agent.buffer.epochs import unconfirmed_epoch
from farshore_agent.buffer.hours import keep, of_chunk
from farshore_agent.buffer.model import LoadedBatch, OutboxBatch
from farshore_agent.buffer.queries import QUERIES
from farshore_agent.buffer.receipts import declare_missing
from farshore_agent.buffer.streams import StreamRow, stream_by_id
from farshore_agent.buffer.tail import Chunk, drop_chunks
from farshore_protocol.batch import SealedBatch, digest_of, parse_batch
from farshore_protocol.hours import Hours, added
from farshore_protocol.limits import MAX_PARCEL_ATTACHMENTS
from farshore_protocol.messages import KeyEpoch

NOTHING_PAUSED: Final = "[]"
_NO_DICTIONARY: Final = "a dictionary did not pass its check"


@dataclass(frozen=True, slots=True)
class Sealing:
    """A batch to store in place of the chunks that it was made of; `summary` is what stays if it is thinned."""

    stream: StreamRow
    chunks: list[Chunk]
    batch: SealedBatch
    summary: bytes | None
    sealed_us: int


def store_sealed(database: Database, sealings: Iterable[Sealing]) -> None:
    """Replace chunks by their batches, all in one transaction."""
    with database.transaction():
        for sealing in sealings:
            hours = added(of_chunk(database, chunk.id) for chunk in sealing.chunks)
            with database.overwriting():
                drop_chunks(database, sealing.stream.id, sealing.chunks)
            add_sealed(database, _sealed(sealing, hours))


def _sealed(sealing: Sealing, hours: Hours) -> Sealed:
    chunks = sealing.chunks
    oldest_us, newest_us = min(chunk.oldest_us for chunk in chunks), max(chunk.newest_us for chunk in chunks)
    times = (oldest_us, newest_us, chunks[0].appended_us, sealing.sealed_us)
    return Sealed(sealing.stream, sealing.batch, sealing.summary, *times, hours)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch to add to the outbox; `appended_us` is when its first record was."""

    stream: StreamRow
    batch: SealedBatch
    summary: bytes | None
    oldest_us: int
    newest_us: int
    appended_us: int
    sealed_us: int
    hours: Hours


def add_sealed(database: Database, sealed: Sealed) -> None:
    """Add a batch. Inside a transaction."""
    row, header = sealed.stream, sealed.batch.header
    batch = database.insert(
        "add_batch",
        row.id,
        header.first,
        header.last,
        len(sealed.batch.raw),
        sealed.batch.digest,
        header.epoch,
        header.dictionary,
        row.priority,
        0,
        sealed.oldest_us,
        sealed.newest_us,
        sealed.appended_us,
        sealed.sealed_us,
        None,
    )
    database.run("set_sending_order", batch, -batch if row.newest_first else batch)
    database.run("add_body", batch, sealed.batch.raw, sealed.summary)
    keep(database, "add_batch_hours", batch, sealed.hours, sealed.oldest_us, sealed.newest_us)


def waiting(database: Database, *, max_bytes: int, max_batches: int, paused: str = NOTHING_PAUSED) -> list[OutboxBatch]:
    """What to send next, in order: as many batches as fit, and at least one if there is one.

    `paused` are the names of streams that are left out, as a JSON list.
    """
    found: list[OutboxBatch] = []
    size = 0
    with translated():
        for row in database.connection.execute(QUERIES["waiting"], (max_batches, paused)):
            batch = OutboxBatch(*row)
            size += batch.size
            if found and size > max_bytes:
                break
            found.append(batch)
    return found


def waiting_ids(database: Database, paused: str = NOTHING_PAUSED) -> tuple[int, int]:
    """The least and the greatest id of what is to be sent; zeros when nothing is."""
    least, greatest = database.the_row("waiting_ids", paused)
    return least, greatest


def load(database: Database, ids: Sequence[int], now_us: int) -> list[LoadedBatch]:
    """The bytes of batches. One that is damaged is dropped with a receipt, in one transaction, and left out.

    Raises:
        Malformed: it is the row of a batch that is damaged.
    """
    loaded = []
    for batch in ids:
        row = database.row("load_batch", batch)
        if row is None:
            continue
        stream, first, last, digest, epoch, dictionary, raw = row
        if raw is not None and digest_of(raw) == digest:
            header = parse_batch(raw).header
            if (header.first, header.last) != (first, last):
                raise Malformed(f"the row of batch {batch} says {first}…{last}, its bytes {header.first}…{header.last}")
            if (header.epoch, header.dictionary) == (epoch, dictionary):
                loaded.append(LoadedBatch(batch, raw))
            else:
                # What was gathered to travel with it is not what opens it: it waits for its next turn.
                with database.transaction():
                    correct_keys(database, batch)
        else:
            drop_damaged(database, [(batch, stream)], now_us, "a sealed batch did not pass its check")
    return loaded


def correct_keys(database: Database, batch: int) -> None:
    """Let a batch's row name the key and dictionary that its bytes name, if they are sound. Inside a transaction."""
    *_, digest, _, _, raw = database.the_row("load_batch", batch)
    if raw is not None and digest_of(raw) == digest:
        header = parse_batch(raw).header
        database.run("set_keys", batch, header.epoch, header.dictionary)


def drop_damaged(database: Database, batches: Iterable[tuple[int, int]], now_us: int, detail: str) -> None:
    """Give up batches (id and stream) that can never be read again, with receipts, in one transaction."""
    with database.transaction():
        _drop(database, batches, now_us, detail)


def give_up_needing(database: Database, dictionary: bytes, now_us: int) -> None:
    """Give up what nobody can read without a dictionary that is lost. Inside a transaction."""
    _drop(database, database.rows("batches_needing", dictionary), now_us, _NO_DICTIONARY)


def _drop(database: Database, batches: Iterable[tuple[int, int]], now_us: int, detail: str) -> None:
    streams = dict.fromkeys(stream for _, stream in batches)
    for batch, _ in batches:
        drop_batch(database, batch)
    for stream in streams:
        declare_missing(database, stream_by_id(database, stream), now_us, detail)


def drop_batch(database: Database, batch: int) -> None:
    """Remove a batch and its bytes. Inside a transaction of whoever knows why."""
    database.run("drop_body", batch)
    database.run("drop_batch", batch)


def attachments(database: Database, batches: Iterable[OutboxBatch], now_us: int) -> tuple[list[KeyEpoch], list[bytes]]:
    """The key epochs and dictionaries that these batches need and the hub has not confirmed.

    A dictionary or a key that is damaged takes the batches that need it with it; they get receipts.
    """
    batches = list(batches)
    epochs = dict.fromkeys(batch.epoch for batch in batches)
    dictionaries = []
    for name in dict.fromkeys(batch.dictionary for batch in batches if batch.dictionary):
        row = database.row("unconfirmed_dictionary", name)
        if row is None:
            continue
        epoch, digest, raw = row
        if digest_of(raw) == digest:
            epochs[epoch] = None
            dictionaries.append(raw)
        else:
            _drop_dictionary(database, name, now_us)
    found = (unconfirmed_epoch(database, epoch, now_us) for epoch in epochs)
    return [each for each in found if each][:MAX_PARCEL_ATTACHMENTS], dictionaries


def _drop_dictionary(database: Database, name: bytes, now_us: int) -> None:
    drop_damaged(database, database.rows("batches_needing", name), now_us, _NO_DICTIONARY)
    with database.transaction():
        database.run("drop_dictionary", name)


def has_dictionary(database: Database, name: bytes) -> bool:
    """Whether a dictionary is in the file."""
    return database.row("has_dictionary", name) is not None


def store_dictionary(database: Database, name: bytes, sealed: SealedBatch) -> None:
    """Keep a sealed dictionary before anything is sealed that needs it."""
    with database.transaction():
        database.run("add_dictionary", name, sealed.header.epoch, sealed.digest, sealed.raw)
