"""The digest of rows: what a batch's records are in the lake, however the lake keeps them.

A digest is a sum (modulo 2^64) over the rows of a batch, so it does not depend on the order of the rows, on the files
that they lie in, or on columns that the table got later: a cell that is null counts for nothing. Each cell is mixed
with its column's name, each row with its sequence. A missing row, a doubled one and a changed value all change the sum;
that two kinds of damage cancel out has the chance of 1 in 2^64. It is made against decay, not against a forger, who
could change the ledger as well: sealed batches and statements have SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farshore_hub.lake.naming import INCARNATION, SITE

Hashes = npt.NDArray[np.uint64]

DIGEST_BYTES: Final = 8
_MODULUS: Final = 1 << 64
_KEYS: Final = frozenset((SITE, INCARNATION))
"""Whose a row is: a row that changes hands is missed by its owner."""

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS: Final = np.uint64(30), np.uint64(27), np.uint64(31)


def row_hashes(rows: pa.RecordBatch) -> Hashes:
    """A hash for each row, of its sequence and all of its values."""
    total = np.zeros(rows.num_rows, np.uint64)
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        if name not in _KEYS:
            total += _column(name, column)
    return _mixed(total)


def digest_of(rows: pa.Table) -> bytes:
    """The digest of the rows of one batch."""
    return packed(sum(int(row_hashes(part).sum(dtype=np.uint64)) for part in rows.to_batches()))


def packed(total: int) -> bytes:
    """A sum of row hashes as a digest."""
    return (total % _MODULUS).to_bytes(DIGEST_BYTES, "big")


def _column(name: str, cells: pa.Array) -> Hashes:
    hashes = _mixed(_words(cells) ^ np.uint64(_hash(name.encode())))
    if cells.null_count:
        hashes[np.asarray(pc.is_null(cells))] = 0
    return hashes


def _words(cells: pa.Array) -> Hashes:
    """Every value as 64 bits: numbers as they are, texts and bytes by their hash. Nulls are anything."""
    kind = cells.type
    if pa.types.is_null(kind):
        return np.zeros(len(cells), np.uint64)
    if pa.types.is_boolean(kind):
        return _bits(cells.cast(pa.int64()))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind):
        return _bits(cells)
    return _hashed(cells)


def _bits(cells: pa.Array) -> Hashes:
    if pa.types.is_timestamp(cells.type):
        cells = cells.cast(pa.timestamp("us", tz=cells.type.tz)).cast(pa.int64())
    if cells.null_count:
        # Filled in without rounding: NumPy would make floats of integers that have nulls.
        cells = pc.fill_null(cells, pa.scalar(0, cells.type))
    return np.ascontiguousarray(cells.to_numpy(zero_copy_only=False)).view(np.uint64)


def _hashed(cells: pa.Array) -> Hashes:
    """Each different value is hashed once."""
    found = cells if pa.types.is_dictionary(cells.type) else pc.dictionary_encode(cells)
    values: list[Any] = found.dictionary.to_pylist()
    if not values:
        return np.zeros(len(cells), np.uint64)
    hashes = np.array([_hash(each if isinstance(each, bytes) else each.encode()) for each in values], np.uint64)
    at = pc.fill_null(found.indices, 0)
    chosen: Hashes = hashes[at.to_numpy(zero_copy_only=False)]
    return chosen


def _hash(value: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(value, digest_size=DIGEST_BYTES).digest(), "big")


def _mixed(words: Hashes) -> Hashes:
    """Every bit of a word changes every bit of the result (splitmix64's finalizer, D. Stafford's variant 13)."""
    a, b, c = _SHIFTS
    words = (words ^ (words >> a)) * _FIRST
    words = (words ^ (words >> b)) * _SECOND
    mixed: Hashes = words ^ (words >> c)
    return mixed
