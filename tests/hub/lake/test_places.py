"""One contract for the places where a lake may lie: a folder, and an object store that speaks S3.

`make test-objects` runs all tests of the lake and of its audit on an object store; this is the short way through them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from farshore_hub.doctor.lake import look_at_lake
from farshore_hub.errors import HubError, NotReady
from farshore_hub.lake.export import Wanted
from farshore_hub.lake.files.location import Location, in_folder
from farshore_hub.lake.tables import LakeTables, StreamTable
from farshore_hub.store.engine import open_engine
from farshore_shell.findings import Fault
from tests.acceptance.hub import free_port
from tests.hub.lake.stored import HUB, Stored, make_schema, readings
from tests.objects import BUCKET, SECRET, ObjectStore

pytestmark = pytest.mark.xdist_group("objects")


@pytest.fixture(params=["folder", "objects"])
def placed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stored]:
    """An empty hub on SQLite, its lake at either place."""
    location = in_folder(tmp_path / "lake")
    if request.param == "objects":
        store: ObjectStore = request.getfixturevalue("object_store")
        location = store.location()
    engine = open_engine(f"sqlite:///{tmp_path / 'hub.db'}")
    make_schema(engine)
    yield Stored(engine, location, tmp_path)
    engine.dispose()


def table_of(placed: Stored) -> StreamTable:
    table = placed.tables.open("boiler")
    assert table is not None
    return table


async def test_rows_are_written_once_joined_cleaned_up_asked_and_exported(placed: Stored) -> None:
    writer = placed.writer()
    for start in range(0, 50, 10):
        placed.add(readings(10, start))
        await writer.drain()
    await writer.close()
    assert await placed.drain() == 0
    assert placed.tables.streams() == ["boiler"]
    assert table_of(placed).compact(max_small_files=3, vacuum_after_h=0) == 5
    assert len(placed.tables.files.names("boiler")) == 1
    placed.add(readings(10, 50))
    assert await placed.drain() == 1
    placed.add(readings(10, 60))  # of which the lake knows nothing yet
    reader = placed.reader()
    assert placed.sequences() == list(range(1, 61))
    asked = reader.query("SELECT count(*) AS n, sum(temp) AS t FROM boiler WHERE device = 'pump-1'").to_pylist()
    expected = [each["temp"] for each in readings(70) if each["device"] == "pump-1"]
    assert asked == [{"n": len(expected), "t": sum(expected)}]
    lines = b"".join(reader.export(Wanted("boiler"))).splitlines()
    assert [json.loads(line)["ts"] for line in lines] == [each["ts"] for each in readings(70)]


async def test_of_two_writers_with_the_same_commit_one_is_refused(placed: Stored) -> None:
    placed.add(readings(10))
    await placed.drain()
    first, second = table_of(placed), table_of(placed)
    rows = first.rows().to_table()
    first.append(2, rows)
    with pytest.raises(DeltaError):
        second.append(2, rows)
    assert len(placed.sequences()) == 20


async def test_a_lake_that_is_ahead_of_its_database_is_rolled_back(placed: Stored) -> None:
    for start in (0, 10):
        placed.add(readings(10, start))
        await placed.drain()
    table_of(placed).roll_back(1)
    assert placed.sequences() == list(range(1, 11))


async def test_a_file_that_cannot_be_read_is_known_moved_out_and_looked_at_again(placed: Stored) -> None:
    for start in (0, 10):
        placed.add(readings(10, start))
        await placed.drain()
    table = table_of(placed)
    bad, good = table.files()
    overwrite(placed.tables, bad.place, b"no Parquet")
    with pytest.raises((OSError, ValueError, pa.ArrowException)) as raised:
        table.rows().to_table()
    assert bad.is_to_blame(raised.value)
    assert good.is_to_blame(OSError("an answer that did not come")) is not placed.location.is_remote
    table.set_aside([bad.path], ".damaged/boiler")
    assert [each.path for each in table_of(placed).files()] == [good.path]
    assert [each.path for each in table.files_beside(".damaged/boiler")] == [bad.path.rpartition("/")[2]]
    assert table_of(placed).missing_files() == []
    assert placed.tables.streams() == ["boiler"]


def test_a_store_that_overwrites_what_is_there_is_not_written_to(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What such a store does to a commit: the second one that has the same number is taken, too."""
    tables = LakeTables(object_store.location(), HUB)
    tables.check_commits()
    assert tables.streams() == []
    monkeypatch.setattr(StreamTable, "append", lambda *_: None)
    with pytest.raises(NotReady, match="If-None-Match"):
        tables.check_commits()


async def test_a_store_that_does_not_answer_is_no_empty_lake_and_nobody_is_told_the_secret(
    object_store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = dict(object_store.options) | {"aws_secret_access_key": SECRET + "x"}
    nobody = dict(object_store.options) | {"aws_endpoint_url": f"http://127.0.0.1:{free_port()}"}
    said = []
    for options in (wrong, nobody | {"max_retries": "0", "retry_timeout": "1s"}):
        location = Location(f"s3://{BUCKET}/refused", options)
        tables = LakeTables(location, HUB)
        said.append(repr(location))
        for ask in (tables.streams, lambda tables=tables: tables.open("boiler")):
            with pytest.raises((OSError, DeltaError)) as raised:
                ask()
            said.append(str(raised.value))
    with pytest.raises(HubError, match="no bucket"):
        LakeTables(Location("s3://not-there/farshore", object_store.options), HUB).streams()
    assert SECRET not in "\n".join([*said, caplog.text])


def overwrite(tables: LakeTables, path: str, content: bytes) -> None:
    """Damage a file of the lake."""
    with tables.files.under("").open_output_stream(path) as file:
        file.write(content)


def test_a_doctor_says_that_the_store_is_away_and_no_table_is_blamed(object_store: ObjectStore, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'hub.db'}")
    make_schema(engine)
    nobody = dict(object_store.options) | {"aws_endpoint_url": f"http://127.0.0.1:{free_port()}"}
    [finding] = look_at_lake(engine, LakeTables(Location(f"s3://{BUCKET}/away", nobody), HUB))
    engine.dispose()
    assert (finding.code, finding.fault) == ("lake-away", Fault.OPERATOR)
