"""The lake's SQL, on both stores."""

from __future__ import annotations

import pytest

from farshore_hub.lake.reader import lake_lag
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.lake import LakeBatch, LakeCommit, WaitingStream
from tests.hub.lake.stored import LIFE, START_US, Stored, readings


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest) -> Stored:
    name = "stored" if request.param == "sqlite" else "stored_in_postgres"
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


def _open(both: Stored, stream: str = "boiler", max_records: int = 1000, max_bytes: int = 1 << 20) -> LakeCommit | None:
    with writing(both.engine) as connection:
        return store.open_commit(connection, stream, max_records=max_records, max_bytes=max_bytes, now_us=START_US)


def test_the_stream_that_waits_longest_comes_first(both: Stored) -> None:
    both.add(readings(2), stream="oven")
    both.clock.us += 1
    both.add(readings(3))
    both.add(readings(3), site="south")
    with reading(both.engine) as connection:
        assert store.waiting_streams(connection) == [
            WaitingStream("oven", 2, START_US),
            WaitingStream("boiler", 6, START_US + 1),
        ]


def test_a_commit_takes_the_oldest_batches_that_fit(both: Stored) -> None:
    ids = [both.add(readings(10)) for _ in range(3)]
    both.add(readings(10), stream="oven")
    commit = _open(both, max_records=20)
    assert commit == LakeCommit(1, "boiler")
    with reading(both.engine) as connection:
        assert store.batches_of(connection, 1) == [
            LakeBatch(ids[0], "north", LIFE, 1, 10, None, both.payload(ids[0])),
            LakeBatch(ids[1], "north", LIFE, 11, 10, None, both.payload(ids[1])),
        ]
        assert store.pending_commits(connection) == [commit]


def test_there_is_no_commit_without_batches(both: Stored) -> None:
    assert _open(both) is None


def test_numbers_rise_over_all_streams_and_skip_what_was_noted(both: Stored) -> None:
    both.add(readings(1))
    both.add(readings(1), stream="oven")
    assert _open(both) == LakeCommit(1, "boiler")
    with writing(both.engine) as connection:
        store.note_commit(connection, LakeCommit(7, "oven"), START_US)
    assert _open(both, "oven") == LakeCommit(8, "oven")
    with reading(both.engine) as connection:
        assert [store.last_commit(connection, stream) for stream in ("boiler", "oven", "none")] == [1, 8, 0]


def test_what_a_table_lacks_is_what_came_after_its_last_commit(both: Stored) -> None:
    ids = []
    for _ in range(2):
        ids.append(both.add(readings(1)))
        _open(both)
    ids.append(both.add(readings(1)))
    with reading(both.engine) as connection:
        lacking = [store.sizes_after(connection, "boiler", last) for last in (0, 1, 2, 3)]
    assert [list(each) for each in lacking] == [ids, ids[1:], ids[2:], ids[2:]]
    assert lacking[2] == {ids[2]: len(both.payload(ids[2]) or b"")}


def test_a_quarantined_batch_waits_for_nothing_until_it_is_released(both: Stored) -> None:
    batch = both.add(readings(1))
    _open(both)
    with writing(both.engine) as connection:
        store.quarantine(connection, batch, "why")
        assert store.batches_of(connection, 1) == []
        assert store.sizes_after(connection, "boiler", 0) == {}
        assert store.release_quarantined(connection) == 1
        assert store.release_quarantined(connection) == 0
    assert _open(both) == LakeCommit(2, "boiler")


def test_the_lag_counts_what_waits_and_what_is_pending(both: Stored) -> None:
    both.add(readings(3))
    _open(both)
    both.add(readings(4))
    lag = lake_lag(both.engine)
    assert (lag.batches, lag.records, lag.oldest_us, lag.quarantined) == (2, 7, START_US, 0)
    with writing(both.engine) as connection:
        store.finish_commits(connection, [1])
    assert lake_lag(both.engine).records == 4


def test_columns_are_kept_per_stream(both: Stored) -> None:
    with writing(both.engine) as connection:
        store.add_columns(connection, "boiler", [("temp", "double", "temp"), ("a b", "varchar", "a%20b")])
        store.add_columns(connection, "oven", [])
        assert store.columns_of(connection, "boiler") == [("a b", "varchar", "a%20b"), ("temp", "double", "temp")]
        assert store.columns_of(connection, "oven") == []


def test_payloads_of_old_commits_that_are_done_are_forgotten(both: Stored) -> None:
    ids = []
    for _ in range(2):
        ids.append(both.add(readings(1)))
        _open(both)
    with writing(both.engine) as connection:
        store.finish_commits(connection, [1])
        forgotten = [store.forget_payloads(connection, done_before_us=START_US + 1, max_commits=9) for _ in range(2)]
        assert forgotten == [1, 0]
    assert [both.payload(each) is None for each in ids] == [True, False]


async def test_stored_batches_become_rows_once(both: Stored) -> None:
    both.add(readings(3))
    await both.drain()
    both.add([{"temp": "new type"}])
    assert await both.drain() == 1
    assert await both.drain() == 0
    assert both.sequences() == [1, 2, 3, 4]


def test_streams_are_listed_by_name(both: Stored) -> None:
    both.add(readings(1))
    both.add(readings(1), site="south")
    both.add(readings(1), stream="a")
    with reading(both.engine) as connection:
        assert store.streams(connection) == ["a", "boiler"]
