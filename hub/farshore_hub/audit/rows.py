"""Which batch a row of the lake belongs to, and what all rows of a batch add up to: column by column, part by part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farshore_hub.lake.digests import packed, row_hashes
from farshore_hub.lake.naming import INCARNATION, SEQUENCE, SITE
from farshore_hub.store.audit import LakeEntry

Places = npt.NDArray[np.int64]
"""Per row the place of its batch among the entries; `NOBODYS` where no batch has its sequence."""

NOBODYS: Final = -1


class _Life(NamedTuple):
    """The ranges of the batches of one incarnation, by their first sequence."""

    firsts: npt.NDArray[np.int64]
    lasts: npt.NDArray[np.int64]
    entries: Places


class Expected:
    """What is expected of a table, or of a part of it."""

    def __init__(self, entries: Sequence[LakeEntry]) -> None:
        self.entries = entries
        ranges: dict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
        for at, entry in enumerate(entries):
            ranges[entry.site, entry.incarnation] += [(first, last, at) for first, last in entry.taken]
        self._lives = {life: _life(found) for life, found in ranges.items()}

    def places(self, rows: pa.RecordBatch) -> Places:
        """Where each row belongs."""
        found = np.full(rows.num_rows, NOBODYS, np.int64)
        sequences = pc.fill_null(rows.column(SEQUENCE), 0).to_numpy(zero_copy_only=False)
        for key, mine in _by_life(rows):
            life = self._lives.get(key)
            if life is not None:
                found[mine] = _look_up(life, sequences[mine])
        return found


class Sums:
    """How many rows there are of each entry, and the sum of their hashes."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self.counts = np.zeros(len(expected.entries), np.int64)
        self.hashes = np.zeros(len(expected.entries), np.uint64)
        self.nobodys = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Count rows."""
        places = self._expected.places(rows)
        known = places != NOBODYS
        np.add.at(self.counts, places[known], 1)
        np.add.at(self.hashes, places[known], row_hashes(rows)[known])
        self.nobodys += int((~known).sum())

    def join(self, other: Sums) -> None:
        """Count what another one has counted of the same entries."""
        self.counts += other.counts
        self.hashes += other.hashes
        self.nobodys += other.nobodys

    def wrong(self) -> Iterator[tuple[LakeEntry, int, bool]]:
        """The entries that are not as they should be: with how many rows there are, and whether only values differ."""
        for entry, count, total in zip(self._expected.entries, self.counts.tolist(), self.hashes.tolist(), strict=True):
            altered = entry.digest is not None and packed(total) != entry.digest
            if count != entry.taken.count or altered:
                yield entry, count, count == entry.taken.count


def _life(ranges: list[tuple[int, int, int]]) -> _Life:
    table = np.array(sorted(ranges), np.int64)
    return _Life(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())


def _look_up(life: _Life, sequences: npt.NDArray[np.int64]) -> Places:
    at = np.searchsorted(life.firsts, sequences, side="right") - 1
    inside = (at >= 0) & (sequences <= life.lasts[at])
    found: Places = np.where(inside, life.entries[at], NOBODYS)
    return found


def _by_life(rows: pa.RecordBatch) -> Iterator[tuple[tuple[str, str], npt.NDArray[np.int64]]]:
    """The rows of each site and incarnation, as their positions."""
    sites, lives = _codes(rows.column(SITE)), _codes(rows.column(INCARNATION))
    both = sites[0] * max(1, len(lives[1])) + lives[0]
    order = np.argsort(both, kind="stable")
    changes = np.flatnonzero(np.diff(both[order])) + 1
    for mine in np.split(order, changes):
        if len(mine):
            yield (sites[1][sites[0][mine[0]]], lives[1][lives[0][mine[0]]]), mine


def _codes(cells: pa.Array) -> tuple[npt.NDArray[np.int64], list[Any]]:
    encoded = cells if pa.types.is_dictionary(cells.type) else pc.dictionary_encode(pc.fill_null(cells, ""))
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()
