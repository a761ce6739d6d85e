"""No figure without correctness: what was acknowledged against what the hub has in the end.

Records are compared by a 64-bit hash of their content, whatever the order of their fields; a million take 8 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import orjson

Hashes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"

_HASH_BYTES: Final = 8


class NotOnce(AssertionError):
    """Some acknowledged record is not stored, some is stored twice, or something else is stored: no figure counts."""


def hashes_of(lines: Iterable[bytes]) -> Hashes:
    """The hash of each record, given as JSON text."""
    return np.fromiter(map(_hash_of, lines), dtype=np.uint64)


def _hash_of(line: bytes) -> int:
    content = orjson.dumps(orjson.loads(line), option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(content, digest_size=_HASH_BYTES).digest())


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many acknowledged records are stored, and what is wrong."""

    acknowledged: int
    stored: int
    lost: int
    doubled: int
    foreign: int


def judge(acknowledged: Hashes, stored: Hashes, *, maybe: Hashes | None = None) -> Verdict:
    """Compare as multisets; a record in `maybe` (sent, not answered) may be stored, once."""
    given, given_counts = np.unique(acknowledged, return_counts=True)
    found, found_counts = np.unique(stored, return_counts=True)
    there = _counts_in(given, found, found_counts)
    known = _counts_in(found, given, given_counts)
    unknown = found[known == 0]
    foreign = unknown if maybe is None else np.setdiff1d(unknown, maybe)
    return Verdict(
        acknowledged=len(acknowledged),
        stored=len(stored),
        lost=int(np.maximum(given_counts - there, 0).sum()),
        doubled=int(np.maximum(found_counts - np.maximum(known, 1), 0).sum()),
        foreign=len(foreign),
    )


def prove(acknowledged: Hashes, stored: Hashes, *, maybe: Hashes | None = None) -> Verdict:
    """`judge`, or no figure.

    Raises:
        NotOnce: with what is wrong.
    """
    verdict = judge(acknowledged, stored, maybe=maybe)
    if verdict.lost or verdict.doubled or verdict.foreign:
        raise NotOnce(str(verdict))
    return verdict


def _counts_in(of: Hashes, values: Hashes, counts: Any) -> Any:  # noqa: ANN401 - NumPy arrays of integers
    """How often each of `of` is among sorted `values` with their counts."""
    if not len(values):
        return np.zeros(len(of), dtype=np.int64)
    at = np.minimum(np.searchsorted(values, of), len(values) - 1)
    return np.where(values[at] == of, counts[at], 0)
