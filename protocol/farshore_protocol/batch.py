"""A sealed batch: a short readable header, then ciphertext and its tag.

The header says which records these are and which key and dictionary open them; the site's name is not in it, but is
bound to it (associated data), so that no site can pass off another's batch as its own. A sealed batch never changes:
its digest is its identity, and the same range under another digest is a fork.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from typing import Final

from farshore_protocol.errors import Malformed, OverLimit, Unsupported
from farshore_protocol.limits import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_NAME_CHARS, MAX_SEQUENCE
from farshore_protocol.names import BadName, check_any_stream
from farshore_protocol.wire import Reader, put_varint

FORMAT_VERSION: Final = 1
ID_BYTES: Final = 8
"""Incarnations, key epochs and dictionaries are named by 8 random or hashed bytes."""

DIGEST_BYTES: Final = 16
TAG_BYTES: Final = 16
MIN_SEALED_BYTES: Final = 2 + 2 * ID_BYTES + 5 + TAG_BYTES

_HAS_DICTIONARY: Final = 0x80
_LONGEST_NAME: Final = 2 * MAX_NAME_CHARS + 1


class Kind(enum.IntEnum):
    """What a batch holds. A hub that does not know a kind says so and the agent keeps the batch."""

    RECORDS = 0
    """Records of a stream, in the format of `columns`."""
    DICTIONARY = 1
    """A compression dictionary; it has no sequences."""


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """The readable part of a batch.

    Attributes:
        kind: what the ciphertext holds.
        incarnation: the agent life (8 bytes) in which the records got their sequences.
        epoch: the key epoch (8 bytes) whose key opens the batch.
        counter: how many batches were sealed under that key before this one; the nonce.
        stream: the stream's name.
        first: the first record's sequence; 0 for a dictionary.
        count: how many records, in consecutive sequences; 0 for a dictionary.
        dictionary: the compression dictionary (8 bytes) that the content needs, if any.
    """

    kind: Kind
    incarnation: bytes
    epoch: bytes
    counter: int
    stream: str
    first: int
    count: int
    dictionary: bytes | None = None

    @property
    def last(self) -> int:
        """The last record's sequence."""
        return self.first + self.count - 1

    def pack(self) -> bytes:
        """The header's bytes; with the tag 64 for a six-letter stream with a dictionary, 56 without."""
        name = self.stream.encode()
        out = bytearray((FORMAT_VERSION, self.kind | (_HAS_DICTIONARY if self.dictionary else 0)))
        out += self.incarnation
        out += self.epoch
        put_varint(out, self.counter)
        put_varint(out, len(name))
        out += name
        put_varint(out, self.first)
        put_varint(out, self.count)
        if self.dictionary:
            out += self.dictionary
        return bytes(out)


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch as it lies in the outbox, on the wire and in the hub's inbox: `raw` is header, ciphertext and tag."""

    header: BatchHeader
    raw: bytes
    header_bytes: int

    @property
    def digest(self) -> bytes:
        """The identity of the batch: the first 16 bytes of SHA-256 over all of it."""
        return digest_of(self.raw)

    @property
    def ciphertext(self) -> bytes:
        """Ciphertext and tag, without the header."""
        return self.raw[self.header_bytes :]


def digest_of(raw: bytes) -> bytes:
    """The digest of a sealed batch's bytes; can be taken without understanding them."""
    return hashlib.sha256(raw).digest()[:DIGEST_BYTES]


def parse_batch(raw: bytes) -> SealedBatch:
    """Read a batch's header; the content stays sealed.

    Raises:
        OverLimit: larger than `MAX_BATCH_BYTES`, or more than `MAX_BATCH_RECORDS` records.
        Unsupported: a newer format version, or a kind that this side does not know.
        Malformed: anything else that docs/wire-format.md does not allow.
    """
    if len(raw) > MAX_BATCH_BYTES:
        raise OverLimit(f"a batch has {len(raw)} bytes, the bound is {MAX_BATCH_BYTES}")
    if len(raw) < MIN_SEALED_BYTES:
        raise Malformed(f"a batch has {len(raw)} bytes, the shortest possible has {MIN_SEALED_BYTES}")
    reader = Reader(raw)
    header = _header(reader)
    _check(header)
    if len(raw) < reader.position + TAG_BYTES:
        raise Malformed("a batch ends before its authentication tag")
    return SealedBatch(header, raw, reader.position)


def _header(reader: Reader) -> BatchHeader:
    version = reader.byte()
    if version != FORMAT_VERSION:
        raise Unsupported(f"batch format {version} is not known here, only {FORMAT_VERSION}: upgrade this side")
    flags = reader.byte()
    try:
        kind = Kind(flags & ~_HAS_DICTIONARY)
    except ValueError:
        raise Unsupported(f"batch kind {flags & ~_HAS_DICTIONARY} is not known here: upgrade this side") from None
    incarnation, epoch = reader.take(ID_BYTES), reader.take(ID_BYTES)
    counter, stream = reader.varint(), _stream(reader)
    first, count = reader.varint(), reader.varint()
    dictionary = reader.take(ID_BYTES) if flags & _HAS_DICTIONARY else None
    return BatchHeader(kind, incarnation, epoch, counter, stream, first, count, dictionary)


def _stream(reader: Reader) -> str:
    length = reader.varint()
    if length > _LONGEST_NAME:
        raise OverLimit(f"a stream name has {length} bytes, the bound is {_LONGEST_NAME}")
    try:
        return check_any_stream(reader.take(length).decode("ascii"))
    except (UnicodeDecodeError, BadName) as error:
        raise Malformed(str(error)) from None


def _check(header: BatchHeader) -> None:
    if header.kind is Kind.DICTIONARY:
        if header.first or header.count:
            raise Malformed("a dictionary claims sequences")
        return
    if header.count > MAX_BATCH_RECORDS:
        raise OverLimit(f"a batch has {header.count} records, the bound is {MAX_BATCH_RECORDS}")
    if not header.count or not header.first or header.last > MAX_SEQUENCE:
        raise Malformed(f"a batch claims {header.count} records from sequence {header.first}")
