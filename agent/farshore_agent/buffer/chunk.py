"""Chunks: the records of one commit and stream as bytes, quick to write and quick to turn into columns again.

A body is a letter for the form, then zstandard (level 1) over it: columns as MessagePack when all records have the same
keys, a list of mappings otherwise, and the batch format for the rare values that MessagePack cannot hold. The checksum
covers the body and what the row says of it, because a database does not notice a flipped bit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import zstandard

from farshore_agent.buffer.shaped import Record, columns_if_shaped, columns_of_mappings, mappings
from farshore_protocol.columns import Columns, DecodeError, Effort, decode, encode
from farshore_protocol.limits import MAX_BODY_BYTES, MIB

MAX_PLAIN_BYTES: Final = 2 * MIB
"""A chunk before compression; more is cut into several, so that a batch of whole chunks stays bounded."""

MAX_CELLS: Final = 500_000
"""Records times different keys: records that share no keys make wide, empty columns."""

_COLUMNS: Final = b"C"
_RECORDS: Final = b"R"
_BATCH: Final = b"B"

_ENCODER: Final = msgspec.msgpack.Encoder()
_COLUMNS_DECODER: Final = msgspec.msgpack.Decoder(tuple[int, dict[str, list[Any]]])
_RECORDS_DECODER: Final = msgspec.msgpack.Decoder(list[dict[str, Any]])
_COMPRESSOR: Final = zstandard.ZstdCompressor(level=1, write_checksum=False)


class Unencodable(ValueError):
    """A record holds what no record may hold; the door should have refused it."""


class Damaged(Exception):
    """A chunk cannot be read back."""


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """Some records as they are stored; `plain_size` is before compression."""

    count: int
    plain_size: int
    body: bytes


def encode_chunks(records: Sequence[Record], *, max_records: int) -> Iterator[EncodedChunk]:
    """Encode `records` in order, in as many chunks as the bounds ask for.

    Raises:
        Unencodable: a record holds something else than JSON's types and bytes.
    """
    for start in range(0, len(records), max_records):
        yield from _encode(records[start : start + max_records])


def _encode(records: Sequence[Record]) -> Iterator[EncodedChunk]:
    form, plain = _plain(records)
    if len(records) > 1 and (plain is None or len(plain) > MAX_PLAIN_BYTES):
        middle = len(records) // 2
        yield from _encode(records[:middle])
        yield from _encode(records[middle:])
        return
    if plain is None:
        raise Unencodable("one record has too many fields")
    yield EncodedChunk(len(records), len(plain), form + _COMPRESSOR.compress(plain))


def _plain(given: Sequence[Record]) -> tuple[bytes, bytes | None]:
    """The form and the bytes of it; no bytes when the records have too many different keys for one chunk."""
    columns = columns_if_shaped(given)
    if columns is not None:
        return _COLUMNS, _ENCODER.encode((len(given), columns))
    records = mappings(given)
    columns = columns_of_mappings(records)
    if columns is None and _cells(records) > MAX_CELLS:
        return _RECORDS, None
    try:
        if columns is not None:
            return _COLUMNS, _ENCODER.encode((len(records), columns))
        return _RECORDS, _ENCODER.encode(records)
    except (OverflowError, UnicodeEncodeError):
        pass  # MessagePack has no integers over 64 bits and no lone surrogates
    except (TypeError, RecursionError) as error:
        raise Unencodable(str(error)) from None
    try:
        return _BATCH, encode(Columns.from_records(records), effort=Effort.FAST)
    except (ValueError, TypeError, RecursionError) as error:
        raise Unencodable(str(error)) from None


def _cells(records: list[dict[str, Any]]) -> int:
    keys: set[str] = set()
    for record in records:
        keys.update(record)
        if len(keys) * len(records) > MAX_CELLS:
            break
    return len(keys) * len(records)


def decode_chunk(body: bytes, count: int) -> Columns:
    """The records of a chunk.

    Raises:
        Damaged: the body is no chunk, or not of `count` records.
    """
    try:
        columns = _decode(body[:1], _inflated(body[1:]))
    except (msgspec.MsgspecError, zstandard.ZstdError, DecodeError, RecursionError, ValueError) as error:
        raise Damaged(str(error)) from None
    if columns.count != count:
        raise Damaged(f"a chunk of {count} records holds {columns.count}")
    return columns


def _inflated(compressed: bytes) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=8 * MIB).stream_reader(compressed) as reader:
        plain = reader.read(MAX_BODY_BYTES + 1)
    if len(plain) > MAX_BODY_BYTES:
        raise Damaged("a chunk is larger than any that is written")
    return plain


def _decode(form: bytes, plain: bytes) -> Columns:
    if form == _COLUMNS:
        count, fields = _COLUMNS_DECODER.decode(plain)
        if any(len(column) != count for column in fields.values()):
            raise Damaged("the columns of a chunk are of different lengths")
        return Columns(count, fields)
    if form == _RECORDS:
        return Columns.from_records(_RECORDS_DECODER.decode(plain))
    if form == _BATCH:
        return decode(plain)
    raise Damaged(f"a chunk of unknown form {form!r}")


def checksum(body: bytes, *, incarnation: bytes, stream: str, first: int, count: int) -> int:
    """CRC-32 over a chunk's body and its identity."""
    return zlib.crc32(b"%b/%b/%d/%d" % (incarnation, stream.encode(), first, count), zlib.crc32(body))
