"""Key epochs at rest: what is sealed under one is lost with it, so each is kept twice, each copy with a checksum.

Each public function that writes is one transaction, but for `drop_sealed_under`.
"""

from __future__ import annotations

import zlib
from typing import Final

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.receipts import declare_missing
from farshore_agent.buffer.streams import stream_by_id
from farshore_protocol import messages, wire
from farshore_protocol.messages import KeyEpoch

MAX_BYTES: Final = 8192
LOST: Final = "the key that opens it did not pass its check"


def checksum(epoch: bytes, message: bytes) -> int:
    """CRC-32 over a key epoch's name and its packed message."""
    return zlib.crc32(message, zlib.crc32(epoch))


def store_epoch(database: Database, epoch: KeyEpoch) -> None:
    """Keep an epoch before anything is sealed under it."""
    with database.transaction():
        _put(database, epoch.id, wire.pack(epoch))


def _put(database: Database, epoch: bytes, message: bytes) -> None:
    for table in ("add_epoch", "add_epoch_copy"):
        database.run(table, epoch, message, checksum(epoch, message))


def unconfirmed_epoch(database: Database, epoch: bytes, now_us: int) -> KeyEpoch | None:
    """An epoch that has to travel with its batches; None if the hub holds it, or if it is not here any more.

    One copy that is damaged is written anew from the other. If both are, the batches are given up with receipts.
    """
    row = database.row("epoch", epoch)
    if row is not None and row[2]:
        return None
    copies = [found[:2] for found in (row, database.row("epoch_copy", epoch)) if found]
    sound = [message for message, stated in copies if checksum(epoch, message) == stated]
    if len(sound) == 1:
        with database.transaction():
            _put(database, epoch, sound[0])
    if sound:
        return wire.unpack(messages.KEY_EPOCH, sound[0], what="epoch", max_bytes=MAX_BYTES)
    if copies:
        with database.transaction():
            drop_sealed_under(database, epoch, now_us)
    return None


def drop_sealed_under(database: Database, epoch: bytes, now_us: int) -> None:
    """Give up what nobody can open any more, with receipts. Inside a transaction of whoever found the key lost."""
    batches = database.rows("batches_under", epoch)
    for batch, _ in batches:
        database.run("drop_body", batch)
        database.run("drop_batch", batch)
    database.run("drop_dictionaries_under", epoch)
    database.run("drop_epoch", epoch)
    database.run("drop_epoch_copy", epoch)
    for stream in dict.fromkeys(stream for _, stream in batches):
        declare_missing(database, stream_by_id(database, stream), now_us, LOST)
