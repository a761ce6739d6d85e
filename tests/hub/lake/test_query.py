from __future__ import annotations

import asyncio
import shutil
import threading

import pytest

from farshore_hub.errors import Busy, Invalid, OverLimit, TimedOut, Unknown
from tests.hub.lake.stored import Stored, readings

ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range % 7 = b.range % 5"


async def test_a_query_sees_the_lake_and_what_is_not_in_it_yet(stored: Stored) -> None:
    stored.add(readings(4))
    await stored.drain()
    stored.add(readings(4))
    rows = stored.reader().query("SELECT count(*) AS n, avg(temp) AS mean FROM boiler").to_pylist()
    assert rows == [{"n": 8, "mean": 2.0}]


def test_a_query_works_before_anything_is_in_the_lake(stored: Stored) -> None:
    stored.add(readings(4))
    assert stored.reader().query("SELECT max(_seq) AS n FROM boiler").to_pylist() == [{"n": 4}]


async def test_numbers_of_both_kinds_are_one_double_column(stored: Stored) -> None:
    stored.add([{"temp": 20}, {"temp": 20.5}])
    await stored.drain()
    stored.add([{"temp": 21}])
    table = stored.reader().query("SELECT temp FROM boiler ORDER BY _seq")
    assert table.to_pylist() == [{"temp": 20.0}, {"temp": 20.5}, {"temp": 21.0}]


def test_other_mixtures_are_text(stored: Stored) -> None:
    stored.add([{"state": 1}, {"state": "off"}, {"state": True}, {"state": [1]}])
    table = stored.reader().query("SELECT state FROM boiler ORDER BY _seq")
    assert table["state"].to_pylist() == ["1", "off", "true", "[1]"]


def test_nested_values_are_json_text(stored: Stored) -> None:
    stored.add([{"tags": {"floor": 3}}])
    assert stored.reader().query("SELECT tags->>'floor' AS f FROM boiler").to_pylist() == [{"f": "3"}]


def test_columns_bear_the_names_of_the_fields(stored: Stored) -> None:
    stored.add([{"id.orig h": 1, "_note": "x", "_site": "user's", "temp": 1.0, "Temp": 2.0}])
    row = stored.reader().query("SELECT * FROM boiler").to_pylist()[0]
    assert row["id.orig h"] == 1
    assert row["_note"] == "x"
    assert (row["_site"], row["%5Fsite"]) == ("north", "user's")
    assert (row["temp"], row["%54%65%6D%70"]) == (1.0, 2.0)


def test_streams_can_be_joined_with_themselves_and_others(stored: Stored) -> None:
    stored.add(readings(3))
    stored.add([{"max": 9}], stream="boiler.hourly")
    sql = 'SELECT count(*) AS n FROM boiler a JOIN boiler b USING (_seq) CROSS JOIN "boiler.hourly"'
    assert stored.reader().query(sql).to_pylist() == [{"n": 3}]


def test_times_can_be_grouped(stored: Stored) -> None:
    stored.add(readings(3))
    sql = "SELECT date_trunc('hour', _time)::VARCHAR AS hour, count(*) AS n FROM boiler GROUP BY ALL"
    assert stored.reader().query(sql).to_pylist() == [{"hour": "2025-11-23 12:00:00+00", "n": 3}]


@pytest.mark.parametrize(
    "sql", ["DESCRIBE boiler", "SUMMARIZE boiler", "EXPLAIN FROM boiler", "FROM boiler", "VALUES (1)"]
)
def test_what_describes_is_answered_too(stored: Stored, sql: str) -> None:
    stored.add(readings(1))
    assert stored.reader().query(sql).num_rows > 0


def test_a_bad_batch_does_not_spoil_a_query(stored: Stored) -> None:
    stored.add(readings(3))
    stored.add_raw(b"rubbish" * 20, 4, 1)
    assert stored.reader().query("SELECT count(*) AS n FROM boiler").to_pylist() == [{"n": 3}]


class TestAnswersToMistakes:
    def test_an_unknown_stream_is_answered_with_those_there_are(self, stored: Stored) -> None:
        stored.add(readings(1))
        stored.add(readings(1), stream="oven-2")
        with pytest.raises(Unknown) as error:
            stored.reader().query("SELECT * FROM furnace")
        assert error.value.remedy == 'the streams are: boiler, "oven-2"'

    @pytest.mark.parametrize("stream", ["oven-2", "oven.hourly", "2nd"])
    def test_a_name_that_needs_quotes_is_answered_with_them(self, stored: Stored, stream: str) -> None:
        stored.add(readings(1), stream=stream)
        with pytest.raises(Invalid) as error:
            stored.reader().query(f"SELECT * FROM {stream}")
        assert error.value.remedy == f'write the stream\'s name in double quotes: "{stream}"'

    def test_an_error_that_comes_late_is_the_querys_own(self, stored: Stored) -> None:
        """Such a one was a fault of the hub: it comes when the answer has begun."""
        with pytest.raises(Invalid, match="too late"):
            stored.reader().query("SELECT CASE range WHEN 500000 THEN error('too late') END FROM range(1000000)")

    @pytest.mark.parametrize("sql", ["", "SELEC 1", "SELECT nothing FROM boiler", "SELECT 1; SELECT 2", "SELECT 1 +"])
    def test_what_is_no_query_is_refused(self, stored: Stored, sql: str) -> None:
        stored.add(readings(1))
        with pytest.raises(Invalid):
            stored.reader().query(sql)


class TestQueriesAreHarmless:
    @pytest.mark.parametrize(
        "sql",
        [
            "DROP VIEW boiler",
            "CREATE TABLE t AS SELECT 1",
            "COPY boiler TO '/tmp/stolen.csv'",
            "ATTACH '/tmp/other.db'",
            "SET memory_limit = '1TB'",
            "PRAGMA database_list",
            "INSTALL httpfs",
            "CALL duckdb_settings()",
        ],
    )
    def test_only_statements_that_read_are_taken(self, stored: Stored, sql: str) -> None:
        stored.add(readings(1))
        with pytest.raises(Invalid, match="a query is one SELECT"):
            stored.reader().query(sql)

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM glob('/*')",
            "SELECT * FROM read_parquet('https://example.org/x.parquet')",
            "SELECT * FROM streams",  # a variable of the code that runs the query
        ],
    )
    def test_files_network_and_variables_are_out_of_reach(self, stored: Stored, sql: str) -> None:
        with pytest.raises((Invalid, Unknown)):
            stored.reader().query(sql)

    async def test_of_the_lake_only_the_files_of_the_tables_are_within_reach(self, stored: Stored) -> None:
        stored.add(readings(1))
        await stored.drain()
        (file,) = stored.lake.glob("boiler/*.parquet")
        removed = shutil.copy(file, stored.lake / "boiler" / "removed.parquet")
        reader = stored.reader()
        assert reader.query(f"SELECT * FROM read_blob('{file}') CROSS JOIN boiler").num_rows == 1
        for path in (removed, *stored.lake.glob("boiler/_delta_log/*"), stored.lake / "boiler" / "*"):
            with pytest.raises(Invalid, match="disabled"):
                reader.query(f"SELECT * FROM read_blob('{path}') CROSS JOIN boiler")

    def test_a_query_that_takes_too_long_is_stopped(self, stored: Stored) -> None:
        with pytest.raises(TimedOut):
            stored.reader(timeout_s=0.2).query(ENDLESS)

    def test_a_query_that_needs_too_much_memory_is_refused(self, stored: Stored) -> None:
        sql = "SELECT list(range) FROM range(100000000)"
        with pytest.raises(OverLimit):
            stored.reader(memory_bytes=32 * 1024 * 1024).query(sql)

    def test_an_answer_that_is_too_large_is_refused(self, stored: Stored) -> None:
        with pytest.raises(OverLimit):
            stored.reader().query("SELECT * FROM range(100)", max_rows=99)
        with pytest.raises(OverLimit):
            stored.reader(max_result_bytes=1000).query("SELECT * FROM range(100000)")

    def test_a_query_over_too_much_that_is_not_in_the_lake_is_put_off(self, stored: Stored) -> None:
        stored.add(readings(100))
        with pytest.raises(Busy):
            stored.reader(max_fresh_bytes=10).query("SELECT * FROM boiler")


async def test_no_row_is_missing_or_twice_while_a_writer_runs(stored: Stored) -> None:
    """Each query must see the sequences 1…n without holes, n being at least what was stored before it."""
    await _query_while_writing(stored)


async def test_no_row_is_missing_or_twice_while_a_writer_runs_on_postgresql(stored_in_postgres: Stored) -> None:
    await _query_while_writing(stored_in_postgres)


async def _query_while_writing(stored: Stored) -> None:
    added, stop = 0, threading.Event()

    def produce() -> None:
        nonlocal added
        while not stop.wait(0.01):
            stored.add(readings(20))
            added += 20

    def check() -> None:
        reader, sql = stored.reader(), "SELECT count(*), count(DISTINCT _seq), max(_seq) FROM boiler"
        for _ in range(10):
            before = added
            count, distinct, last = reader.query(sql).to_pylist()[0].values()
            assert count == distinct == last >= before

    stored.add(readings(20))
    added = 20
    writer = stored.writer(within_us=0, max_commit_records=200, max_small_files=3, vacuum_after_h=1, forget_every_s=0)
    producing = asyncio.create_task(asyncio.to_thread(produce))
    writing = asyncio.create_task(writer.run())
    try:
        await asyncio.to_thread(check)
    finally:
        stop.set()
        await producing
        writing.cancel()
        await asyncio.wait([writing])
    assert len(stored.sequences()) >= 60
