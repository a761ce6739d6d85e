"""What a parcel leaves behind besides accounts: batches, forks, receipts, key epochs, dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import BindParameter, Column, Connection, Select, bindparam, case, insert, select, update

from farshore_hub.ledger.verdict import StoredBatch
from farshore_hub.store.dialect import insert_missing, locked
from farshore_hub.store.ranges import pack_ranges
from farshore_hub.store.schema import batches, dictionaries, forks, key_epochs, receipts, sites
from farshore_protocol import wire
from farshore_protocol.limits import MAX_BATCH_BYTES
from farshore_protocol.messages import KEY_EPOCH, KeyEpoch
from farshore_protocol.ranges import EMPTY

Rows = Sequence[dict[str, Any]]

NOTHING_TAKEN: Final = pack_ranges(EMPTY)
"""What was taken from a batch whose bytes were found damaged: it counts for nothing any more."""


def starting_at(connection: Connection, account_id: int, first: int) -> list[StoredBatch]:
    """The stored batches of an account that start at `first`: only among them can another one's equal be."""
    rows = connection.execute(_STARTING_AT, {"account": account_id, "start": first})
    return [
        StoredBatch(at, count, bytes(digest), bytes(content_digest), partial=take is not None)
        for at, count, digest, content_digest, take in rows
        if take is None or bytes(take) != NOTHING_TAKEN
    ]


# Making such a statement costs as much as running it, and every parcel runs these.
_EPOCH: Final = (
    select(key_epochs.c.message, key_epochs.c.signed_by)
    .join(sites, sites.c.id == key_epochs.c.site_id)
    .where(sites.c.name == bindparam("site"), key_epochs.c.epoch == bindparam("named"))
)
_SITES: Final = select(sites.c.id).where(sites.c.id.in_(bindparam("ids", expanding=True))).order_by(sites.c.id)
_ACTIVE_SITES: Final = _SITES.where(sites.c.state == "active")
_SEEN_US: Final[BindParameter[int]] = bindparam("seen_us")
_HEARD: Final = (
    update(sites)
    .where(sites.c.id == bindparam("site"))
    .values(last_seen_us=case((sites.c.last_seen_us > _SEEN_US, sites.c.last_seen_us), else_=_SEEN_US))
)
_STARTING_AT: Final = select(
    batches.c.first, batches.c.count, batches.c.digest, batches.c.content_digest, batches.c.take
).where(batches.c.account_id == bindparam("account"), batches.c.first == bindparam("start"))


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


def add_epochs(connection: Connection, site_id: int, signed_by: Ed25519PublicKey, epochs: Iterable[KeyEpoch]) -> None:
    """Store sealed key epochs with the key that signed them; one that is there already stays."""
    key = signed_by.public_bytes_raw()
    rows = [{"site_id": site_id, "epoch": each.id, "message": wire.pack(each), "signed_by": key} for each in epochs]
    insert_missing(connection, key_epochs, rows)


def find_epoch(connection: Connection, site: str, epoch: bytes) -> tuple[KeyEpoch, Ed25519PublicKey] | None:
    """A site's sealed key epoch, and the key that signed it: a site that joins again has another one since."""
    row = connection.execute(_EPOCH, {"site": site, "named": epoch}).one_or_none()
    if row is None:
        return None
    sealed = wire.unpack(KEY_EPOCH, bytes(row.message), what="stored key epoch", max_bytes=MAX_BATCH_BYTES)
    return sealed, Ed25519PublicKey.from_public_bytes(bytes(row.signed_by))


def add_dictionaries(connection: Connection, site_id: int, sealed: Iterable[tuple[bytes, bytes]]) -> None:
    """Store sealed dictionaries, given as id and batch; one that is there already stays."""
    rows = [{"site_id": site_id, "dictionary": name, "content": raw} for name, raw in sealed]
    insert_missing(connection, dictionaries, rows)


def find_dictionary(connection: Connection, site: str, dictionary: bytes) -> bytes | None:
    """A site's dictionary, as the sealed batch that brought it."""
    content = connection.scalar(_of_dictionary(dictionaries.c.content, site, dictionary))
    return None if content is None else bytes(content)


def has_dictionary(connection: Connection, site: str, dictionary: bytes) -> bool:
    """Whether a site's dictionary is stored."""
    return connection.scalar(_of_dictionary(dictionaries.c.site_id, site, dictionary)) is not None


def _of_dictionary(column: Column[Any], site: str, dictionary: bytes) -> Select[tuple[Any]]:
    joined = select(column).join_from(dictionaries, sites, sites.c.id == dictionaries.c.site_id)
    return joined.where(sites.c.name == site, dictionaries.c.dictionary == dictionary)


def active_sites(connection: Connection, ids: Iterable[int]) -> set[int]:
    """Which of these sites may still deliver; they cannot be revoked before this transaction ends."""
    return set(connection.scalars(locked(connection, _ACTIVE_SITES), {"ids": sorted(set(ids))}))


def lock_sites(connection: Connection, ids: Iterable[int]) -> None:
    """Let nobody else write the accounts of these sites before this transaction ends."""
    connection.execute(locked(connection, _SITES), {"ids": sorted(set(ids))}).all()


def heard_from(connection: Connection, rows: Rows) -> None:
    """Note what was heard of sites: `site`, `seen_us` (never set back), `clock_offset_us`, `agent_version`."""
    if rows:
        connection.execute(_HEARD, rows)
