"""All rows of a SELECT ordered by site, incarnation and sequence, within bounded memory and disk however many they are.

They are sorted one portion of keys after the other. Where the rows lie in files by their keys, a portion is read from
its own files alone; where all sites are mixed, all files are read for each portion, which is why portions are large. A
portion that is too large for what there is to sort in is divided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import duckdb
import pyarrow as pa

from farshore_hub.lake.duck import Answer
from farshore_hub.lake.naming import INCARNATION, SEQUENCE, SITE

Ask = Callable[[str, Sequence[Any]], Answer]
"""Asks DuckDB; an answer with an order is there when all of it is sorted."""

Key = tuple[str, str, int]
"""Site, incarnation and sequence."""

_COLUMNS: Final = f"{SITE}, {INCARNATION}, {SEQUENCE}"
_SLICES: Final = 16
"""A portion holds that many runs of sequences, or as many more as fit; and is divided into that many."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A SELECT without an order, with its parameters."""

    sql: str
    params: Sequence[str]


@dataclass(frozen=True, slots=True)
class Span:
    """The keys from `first` up to but without `end`; None: from the first one, up to the last one."""

    first: Key | None = None
    end: Key | None = None

    def condition(self) -> tuple[str, list[Any]]:
        """As SQL, in terms by which DuckDB passes over files and parts of them."""
        terms: list[tuple[str, Sequence[Any]]] = []
        if self.first:
            terms.append(_not_before(self.first))
        if self.end:
            sql, values = _not_before(self.end)
            terms += [(f"{SITE} <= ?", self.end[:1]), (f"NOT ({sql})", values)]
        if self.first and self.end and self.first[:2] == self.end[:2]:
            terms.append((f"{SEQUENCE} >= ? AND {SEQUENCE} < ?", (self.first[2], self.end[2])))
        return " AND ".join(sql for sql, _ in terms) or "true", [value for _, values in terms for value in values]


def _not_before(key: Key) -> tuple[str, Sequence[Any]]:
    """Spelt out: DuckDB compares tuples from one side only."""
    site, life, sequence = key
    sql = f"{SITE} >= ? AND ({SITE} > ? OR {INCARNATION} > ? OR ({INCARNATION} = ? AND {SEQUENCE} >= ?))"
    return sql, (site, site, life, life, sequence)


def in_order(ask: Ask, rows: Rows, max_rows: int, span: Span = Span()) -> Iterator[pa.RecordBatch]:
    """The rows with these keys, ordered by them, sorted about `max_rows` at a time.

    Raises:
        duckdb.OutOfMemoryException: a few rows are too large to be sorted.
    """
    for portion in _portions(ask, rows, max_rows, span):
        where, keys = portion.condition()
        sql = f"SELECT * FROM ({rows.sql}) WHERE {where} ORDER BY {_COLUMNS}"  # noqa: S608  of constants
        batches: Iterator[pa.RecordBatch] | None = None
        # What could not be sorted is let go of before less is tried.
        with suppress(*[duckdb.OutOfMemoryException] if max_rows >= _SLICES else []):
            batches = ask(sql, [*rows.params, *keys]).batches
        yield from in_order(ask, rows, max_rows // _SLICES, portion) if batches is None else batches


def _portions(ask: Ask, rows: Rows, max_rows: int, span: Span) -> Iterator[Span]:
    where, keys = span.condition()
    sql = f"""
        WITH runs AS (
            SELECT {SITE}, {INCARNATION}, {SEQUENCE} // ? AS run, min({SEQUENCE}) AS first, count(*) AS n
            FROM ({rows.sql}) WHERE {where} GROUP BY ALL
        ), portions AS (
            SELECT *, (sum(n) OVER (ORDER BY {SITE}, {INCARNATION}, run) - n) // ? AS portion FROM runs
        )
        SELECT min(struct_pack(site := {SITE}, life := {INCARNATION}, first := first)) AS start
        FROM portions GROUP BY portion ORDER BY start
    """  # noqa: S608  of constants
    width = max(1, max_rows // _SLICES)
    answer = ask(sql, [width, *rows.params, *keys, max_rows])
    starts: list[Key] = [tuple(row["start"].values()) for batch in answer.batches for row in batch.to_pylist()]
    bounds = [span.first, *starts[1:], span.end]
    return (Span(first, end) for first, end in pairwise(bounds))
