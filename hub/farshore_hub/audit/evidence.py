"""What is left of batches whose rows in the lake are not what was written: exactly what differs, and what is sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as pads

from farshore_hub.audit.rows import NOBODYS, Expected
from farshore_hub.lake.digests import digest_of, row_hashes
from farshore_hub.lake.loading import BadBatch, Loader
from farshore_hub.lake.naming import SEQUENCE, SITE, ColumnMap
from farshore_hub.lake.tables import StreamTable, TableFile
from farshore_hub.store.audit import LakeEntry
from farshore_hub.store.lake import LakeBatch
from farshore_protocol.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is left of one batch.

    Attributes:
        missing, doubled: sequences of which the lake has no row, or more than one.
        altered: sequences whose row differs from the sealed batch; empty where there is none to compare with.
        sound: all of its rows as they were written, from its sealed bytes or from the lake; None if neither has them.
        remains: its rows in the lake, as they are.
    """

    entry: LakeEntry
    missing: RangeSet
    doubled: RangeSet
    altered: RangeSet
    sound: pa.Table | None
    remains: pa.Table


class Evident:
    """Gathers evidence: from a table, from what was set aside of it, and from the sealed batches that are kept."""

    def __init__(self, loader: Loader, names: ColumnMap, aside: str) -> None:
        self._loader = loader
        self._names = names
        self._aside = aside

    def of(self, table: StreamTable, entries: Sequence[LakeEntry], sealed: Sequence[LakeBatch]) -> Iterator[Evidence]:
        """The evidence of each entry; `sealed` are their batches. In memory are all rows of these entries."""
        schema = table.rows().schema
        remains = _readable(table.files(), schema, entries)
        set_aside = _readable(table.files_beside(self._aside), schema, entries)
        by_id = {batch.id: batch for batch in sealed}
        for entry, rows, others in zip(entries, remains, set_aside, strict=True):
            yield self._judge(entry, rows, others, by_id[entry.id])

    def _judge(self, entry: LakeEntry, rows: pa.Table, others: pa.Table, batch: LakeBatch) -> Evidence:
        sequences = rows.column(SEQUENCE).to_numpy()
        unique, counts = np.unique(sequences, return_counts=True)
        missing, doubled = entry.taken - _ranges(unique), _ranges(unique[counts > 1])
        original = self._sealed(entry, batch)
        altered = RangeSet() if original is None else _altered(rows, original)
        sound = original
        for left in (rows, pa.concat_tables([rows, others])):
            sound = _undoubled(entry, left) if sound is None else sound
        return Evidence(entry, missing, doubled, altered, sound, rows)

    def _sealed(self, entry: LakeEntry, batch: LakeBatch) -> pa.Table | None:
        """The rows of a sealed batch; None if it was given up, or is damaged itself."""
        if batch.raw is None:
            return None
        try:
            rows = self._loader.rows(batch, self._names)
        except BadBatch:
            return None
        # What opens is authentic, by its tag: it also judges what was written by a version that kept no digest.
        return rows if entry.digest is None or digest_of(rows) == entry.digest else None


def _readable(files: Iterable[TableFile], schema: pa.Schema, entries: Sequence[LakeEntry]) -> list[pa.Table]:
    """The rows of each entry that can be read, doubled ones too."""
    expected = Expected(entries)
    where = pads.field(SITE).isin(sorted({entry.site for entry in entries}))
    parts: dict[int, list[pa.RecordBatch]] = defaultdict(list)
    for file in files:
        for rows in file.batches(where, readable=True):
            places = expected.places(rows)
            for at in np.unique(places[places != NOBODYS]):
                parts[int(at)].append(rows.filter(pa.array(places == at)))
    return [pa.Table.from_batches(parts[at], schema) for at in range(len(entries))]


def _undoubled(entry: LakeEntry, rows: pa.Table) -> pa.Table | None:
    """The rows without those that are there twice, if these are what was written."""
    if entry.digest is None or not rows.num_rows:
        return None
    hashes = np.concatenate([row_hashes(part) for part in rows.to_batches()])
    _, first = np.unique(hashes, return_index=True)
    distinct = rows.take(pa.array(np.sort(first)))
    return distinct if distinct.num_rows == entry.taken.count and digest_of(distinct) == entry.digest else None


def _altered(rows: pa.Table, original: pa.Table) -> RangeSet:
    right = np.concatenate([row_hashes(part) for part in original.to_batches()] or [np.zeros(0, np.uint64)])
    found = np.concatenate([row_hashes(part) for part in rows.to_batches()] or [np.zeros(0, np.uint64)])
    return _ranges(rows.column(SEQUENCE).to_numpy()[~np.isin(found, right)])


def _ranges(sequences: npt.NDArray[np.int64]) -> RangeSet:
    ordered = np.unique(sequences)
    if not len(ordered):
        return RangeSet()
    breaks = np.flatnonzero(np.diff(ordered) > 1)
    firsts, lasts = ordered[np.r_[0, breaks + 1]], ordered[np.r_[breaks, len(ordered) - 1]]
    return RangeSet(tuple(zip(firsts.tolist(), lasts.tolist(), strict=True)))
