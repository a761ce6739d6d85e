"""Exports of any size and large queries: in bounded memory and disk, each record once and in order."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from farshore_hub.errors import Busy, OverLimit
from farshore_hub.lake.export import Wanted
from farshore_hub.lake.formats import Format
from farshore_hub.lake.reader import LakeReader
from tests.hub.lake.stored import LIFE, MIB, Stored, readings

LATER = bytes.fromhex("00000000000000a2")
LARGE = "SELECT count(DISTINCT repeat('x', 60) || range) AS n FROM range(2000000)"


def add_mixed(stored: Stored, start: int) -> Iterator[tuple[str, str, int]]:
    """Three sites of two lives each in turn, a few records at a time; says what was given."""
    for first in range(start, start + 20, 5):
        for site in ("south", "north", "east"):
            for life in (LATER, LIFE):
                records = [{"at": [site, life.hex(), number]} for number in range(first, first + 5)]
                stored.add(records, site=site, incarnation=life)
                yield from ((site, life.hex(), number) for number in range(first, first + 5))


def add_large(stored: Stored) -> None:
    """Twelve megabytes, no two rows alike."""
    for start in range(0, 60_000, 20_000):
        stored.add([{"note": f"{number:0200}"} for number in range(start, start + 20_000)])


def exported(reader: LakeReader, kind: Format = Format.NDJSON) -> bytes:
    return b"".join(reader.export(Wanted("boiler"), kind))


def records_of(ndjson: bytes) -> list[Any]:
    return [json.loads(line) for line in ndjson.splitlines()]


@pytest.mark.parametrize("portion_rows", [7, 100, 1000])
async def test_each_record_comes_once_and_in_order_however_few_are_sorted_at_one_time(
    stored: Stored, portion_rows: int
) -> None:
    given = list(add_mixed(stored, 0))
    await stored.drain(max_commit_records=50)
    given += add_mixed(stored, 20)
    reader = stored.reader(portion_rows=portion_rows)
    assert [tuple(record["at"]) for record in records_of(exported(reader))] == sorted(given)
    table = pq.read_table(io.BytesIO(exported(reader, Format.PARQUET)))
    assert [tuple(json.loads(at)) for at in table["at"].to_pylist()] == sorted(given)


async def test_sequences_with_large_gaps_are_no_more_work(stored: Stored) -> None:
    stored.add([{"n": 1}])
    stored.continue_after(2**62)
    stored.add([{"n": 2}])
    await stored.drain()
    assert records_of(exported(stored.reader(portion_rows=1))) == [{"n": 1}, {"n": 2}]


async def test_what_is_too_large_to_be_sorted_at_one_time_is_divided(stored: Stored) -> None:
    """Before, such an export was refused."""
    add_large(stored)
    await stored.drain()
    stored.spill_bytes = 4 * MIB
    # The control: twelve megabytes neither fit memory nor disk.
    with pytest.raises(OverLimit, match="memory"):
        stored.reader(memory_bytes=16 * MIB).query("SELECT note FROM boiler ORDER BY note")
    notes = [record["note"] for record in records_of(exported(stored.reader(memory_bytes=16 * MIB)))]
    assert notes == [f"{number:0200}" for number in range(60_000)]


def test_a_query_that_does_not_fit_memory_goes_to_the_disk_up_to_a_bound(stored: Stored) -> None:
    """Before, it was refused."""
    assert stored.reader(memory_bytes=64 * MIB).query(LARGE).to_pylist() == [{"n": 2_000_000}]
    stored.spill_bytes = MIB
    with pytest.raises(OverLimit, match="offload") as refused:
        stored.reader(memory_bytes=64 * MIB).query(LARGE)
    assert "max_spill_bytes" in refused.value.remedy


def test_an_export_waits_for_no_lake_writer_however_far_behind_it_is(stored: Stored) -> None:
    stored.add(readings(1_000))
    reader = stored.reader(max_fresh_bytes=10, max_fresh_row_bytes=10)
    with pytest.raises(Busy):
        reader.query("SELECT * FROM boiler")
    assert len(records_of(exported(reader))) == 1_000


def test_what_is_not_in_the_lake_yet_takes_no_more_of_the_disk_than_there_is_for_it(stored: Stored) -> None:
    stored.add(readings(10_000))
    stored.spill_bytes = 10_000
    with pytest.raises(Busy, match="no room on the disk"):
        exported(stored.reader())
