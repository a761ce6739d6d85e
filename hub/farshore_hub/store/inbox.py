"""What a parcel leaves behind besides accounts: batches, forks, receipts, key epochs, dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from farshore_hub.ledger.verdict import StoredBatch
from farshore_hub.store.dialect import insert_missing, locked
from farshore_hub.store.schema import batches, dictionaries, forks, key_epochs, receipts, sites
from farshore_protocol import wire
from farshore_protocol.limits import MAX_BATCH_BYTES
from farshore_protocol.messages import KEY_EPOCH, KeyEpoch

Rows = Sequence[dict[str, Any]]


def overlapping(connection: Connection, account_id: int, first: int, last: int) -> list[StoredBatch]:
    """The stored batches of an account that share a sequence with `first`…`last`."""
    query = select(batches.c.first, batches.c.count, batches.c.digest, batches.c.content_digest).where(
        batches.c.account_id == account_id, batches.c.first <= last, batches.c.first + batches.c.count > first
    )
    return [StoredBatch(row[0], row[1], bytes(row[2]), bytes(row[3])) for row in connection.execute(query)]


def add_batches(connection: Connection, rows: Rows) -> None:
    """Store batches, one statement for all."""
    if rows:
        connection.execute(insert(batches), rows)


def add_forks(connection: Connection, rows: Rows) -> None:
    """Keep batches aside; one that is there already stays."""
    insert_missing(connection, forks, rows)


def add_receipts(connection: Connection, rows: Rows) -> None:
    """Store receipts; one that is there already stays."""
    insert_missing(connection, receipts, rows)


def add_epochs(connection: Connection, site_id: int, epochs: Iterable[KeyEpoch]) -> None:
    """Store sealed key epochs; one that is there already stays."""
    rows = [{"site_id": site_id, "epoch": each.id, "message": wire.pack(each)} for each in epochs]
    insert_missing(connection, key_epochs, rows)


def find_epoch(connection: Connection, site_id: int, epoch: bytes) -> KeyEpoch | None:
    """A site's sealed key epoch."""
    query = select(key_epochs.c.message).where(key_epochs.c.site_id == site_id, key_epochs.c.epoch == epoch)
    message = connection.scalar(query)
    if message is None:
        return None
    return wire.unpack(KEY_EPOCH, bytes(message), what="stored key epoch", max_bytes=MAX_BATCH_BYTES)


def add_dictionaries(connection: Connection, site_id: int, sealed: Iterable[tuple[bytes, bytes]]) -> None:
    """Store sealed dictionaries, given as id and batch; one that is there already stays."""
    rows = [{"site_id": site_id, "dictionary": name, "content": raw} for name, raw in sealed]
    insert_missing(connection, dictionaries, rows)


def find_dictionary(connection: Connection, site_id: int, dictionary: bytes) -> bytes | None:
    """A site's dictionary, as the sealed batch that brought it."""
    query = select(dictionaries.c.content).where(
        dictionaries.c.site_id == site_id, dictionaries.c.dictionary == dictionary
    )
    content = connection.scalar(query)
    return None if content is None else bytes(content)


def active_sites(connection: Connection, ids: Iterable[int]) -> set[int]:
    """Which of these sites may still deliver; they cannot be revoked before this transaction ends."""
    query = select(sites.c.id).where(sites.c.id.in_(sorted(set(ids))), sites.c.state == "active").order_by(sites.c.id)
    return set(connection.scalars(locked(connection, query)))


def heard_from(connection: Connection, rows: Rows) -> None:
    """Note when sites were heard: `site`, `last_seen_us`, `clock_offset_us`, `agent_version`."""
    if rows:
        connection.execute(update(sites).where(sites.c.id == bindparam("site")), rows)
