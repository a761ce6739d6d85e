from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farshore_hub.errors import Unknown
from farshore_hub.lake.export import Wanted
from farshore_hub.lake.files.location import in_folder
from farshore_hub.lake.formats import Format
from farshore_hub.store.engine import open_engine
from farshore_hub.texts import exact_json
from tests.hub.lake.stored import Stored, make_schema, readings
from tests.hub.lake.values import RECORDS, same

DATA = Path(os.environ.get("FARSHORE_DATA", Path(__file__).parents[4] / "shared" / "data"))
BOILER = Wanted("boiler")
LATER = bytes.fromhex("00000000000000a2")


def exported(stored: Stored, wanted: Wanted = BOILER, kind: Format = Format.NDJSON) -> bytes:
    return b"".join(stored.reader().export(wanted, kind))


def records_of(ndjson: bytes) -> list[Any]:
    return [json.loads(line) for line in ndjson.splitlines()]


@given(st.lists(st.tuples(RECORDS, st.booleans()), min_size=1, max_size=3))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_every_record_is_exported_exactly(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[list[dict[str, Any]], bool]]
) -> None:
    folder = tmp_path_factory.mktemp("hub")
    engine = open_engine(f"sqlite:///{folder / 'hub.db'}")
    make_schema(engine)
    stored = Stored(engine, in_folder(folder / "lake"), folder)
    for records, in_lake in batches:
        stored.add(records)
        if in_lake:
            await stored.drain()
    sent = [record for records, _in_lake in batches for record in records]
    text = exported(stored).decode()
    assert same([exact_json.loads(line) for line in text.split("\n")[:-1]], sent)
    engine.dispose()


async def test_records_come_ordered_by_site_life_and_sequence(stored: Stored) -> None:
    stored.add([{"n": 5}], site="south")
    stored.add([{"n": 3}, {"n": 4}], incarnation=LATER)
    await stored.drain()
    stored.add([{"n": 1}, {"n": 2}])
    assert records_of(exported(stored)) == [{"n": n} for n in (1, 2, 3, 4, 5)]


async def test_one_site_can_be_asked_for(stored: Stored) -> None:
    stored.add([{"n": 1}], site="south")
    stored.add([{"n": 2}], site="north")
    await stored.drain()
    assert records_of(exported(stored, Wanted("boiler", site="south"))) == [{"n": 1}]


async def test_a_period_goes_from_its_start_up_to_but_without_its_end(stored: Stored) -> None:
    stored.add([{"ts": f"2026-11-23T0{hour}:00:00Z"} for hour in range(5)] + [{"n": "no time"}])
    await stored.drain()
    since, until = datetime(2026, 11, 23, 1, tzinfo=UTC), datetime(2026, 11, 23, 3, tzinfo=UTC)
    records = records_of(exported(stored, Wanted("boiler", since=since, until=until)))
    assert [record["ts"][12] for record in records] == ["1", "2"]


def test_an_unknown_stream_is_refused(stored: Stored) -> None:
    with pytest.raises(Unknown):
        exported(stored, Wanted("furnace"))


async def test_csv_has_the_columns_of_the_view(stored: Stored) -> None:
    stored.add([{"temp": 20, "note": 'a "b"\nc'}, {"temp": 20.5}])
    await stored.drain()
    rows = list(csv.DictReader(io.StringIO(exported(stored, kind=Format.CSV).decode())))
    assert [(row["_seq"], float(row["temp"]), row["note"]) for row in rows] == [
        ("1", 20.0, 'a "b"\nc'),
        ("2", 20.5, ""),
    ]


async def test_parquet_has_the_columns_of_the_view(stored: Stored) -> None:
    stored.add([{"temp": 20}, {"temp": 20.5}])
    await stored.drain()
    table = pq.read_table(io.BytesIO(exported(stored, kind=Format.PARQUET)))
    assert table.select(["_site", "_seq", "temp"]).to_pylist() == [
        {"_site": "north", "_seq": 1, "temp": 20.0},
        {"_site": "north", "_seq": 2, "temp": 20.5},
    ]


async def test_what_does_not_fit_memory_is_exported_though_much_of_it_is_not_in_the_lake_yet(stored: Stored) -> None:
    records = [{"message": f"{n:0230}"} for n in range(400_000)]
    for start in range(0, 50_000, 10_000):
        stored.add(records[start : start + 10_000])
    await stored.drain()
    for start in range(50_000, 400_000, 10_000):
        stored.add(records[start : start + 10_000])
    pieces = stored.reader(memory_bytes=128 * 1024 * 1024).export(BOILER)
    assert sum(piece.count(b"\n") for piece in pieces) == len(records)


async def test_a_large_stream_comes_in_pieces(stored: Stored) -> None:
    stored.add(readings(25_000))
    await stored.drain()
    pieces = list(stored.reader().export(Wanted("boiler")))
    assert len(pieces) > 1
    assert b"".join(pieces).count(b"\n") == 25_000


def _zeek() -> Sequence[dict[str, Any]]:
    files = sorted(DATA.glob("zeek/*.gz"))
    if not files:
        pytest.skip(f"there is no shared data in {DATA}")
    with gzip.open(files[0], "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines][:3000]


async def test_real_events_of_many_shapes_come_back_as_they_were(stored: Stored) -> None:
    events = _zeek()
    for start in range(0, len(events), 500):
        stored.add(events[start : start + 500])
    await stored.drain()
    assert same(records_of(exported(stored)), list(events))
