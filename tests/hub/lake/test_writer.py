from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable

import pyarrow as pa
import pytest
from sqlalchemy import func, select

from farshore_hub.errors import Busy
from farshore_hub.lake.reader import lake_lag
from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.tables import LakeTables, StreamTable
from farshore_hub.store import lake as store
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.schema import batches, lake_commits, row_digests
from farshore_protocol.batch import digest_of
from farshore_protocol.ranges import RangeSet
from tests.hub.lake.stored import LIFE, START_US, Stored, readings

RUBBISH = b"rubbish" * 20
"""What some other version of the protocol may have sealed: whole, and not to be read."""


class Killed(BaseException):
    """The process ends here."""


STREAMS = ["boiler", "pump"]
"""Written together: one transaction opens their commits, one marks them."""

STEPS = [
    (store, "open_commit"),
    (store, "batches_of"),
    (store, "add_columns"),
    (StreamTable, "append"),
    (store, "finish_commits"),
]


async def test_stored_batches_become_rows(stored: Stored) -> None:
    stored.add(readings(3))
    stored.add(readings(2), site="south")
    assert await stored.drain() == 1
    assert stored.rows() == [("north", LIFE.hex(), n) for n in (1, 2, 3)] + [("south", LIFE.hex(), n) for n in (1, 2)]


async def test_each_stream_has_a_table_of_its_own(stored: Stored) -> None:
    stored.add(readings(1), stream="boiler")
    stored.add(readings(2), stream="boiler.hourly")
    await stored.drain()
    assert stored.tables.streams() == ["boiler", "boiler.hourly"]
    assert stored.sequences("boiler.hourly") == [1, 2]


async def test_nothing_is_written_a_second_time(stored: Stored) -> None:
    stored.add(readings(3))
    await stored.drain()
    assert await stored.drain() == 0
    stored.add(readings(2))
    await stored.drain()
    assert stored.sequences() == [1, 2, 3, 4, 5]


async def test_only_the_sequences_to_take_are_written(stored: Stored) -> None:
    stored.add(readings(5), take=RangeSet.of((2, 3), (5, 5)))
    await stored.drain()
    assert stored.sequences() == [2, 3, 5]


async def test_a_lake_commit_is_bounded(stored: Stored) -> None:
    for _ in range(5):
        stored.add(readings(10))
    assert await stored.drain(max_commit_records=20) == 3
    assert stored.sequences() == list(range(1, 51))


async def test_a_batch_larger_than_the_bound_is_written_alone(stored: Stored) -> None:
    stored.add(readings(10))
    stored.add(readings(10))
    assert await stored.drain(max_commit_bytes=1) == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _place, name in STEPS])
async def test_a_writer_killed_at_any_step_neither_loses_nor_doubles_a_row(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, place: object, name: str, after: bool
) -> None:
    for stream in STREAMS:
        stored.add(readings(3), stream=stream)
    await stored.drain()
    for stream in STREAMS:
        stored.add([{**record, "more": 1} for record in readings(3)], stream=stream)
    with monkeypatch.context() as patched:
        patched.setattr(place, name, _killing(getattr(place, name), after))
        with pytest.raises(Killed):
            await stored.drain()
    await _nothing_lost_or_doubled(stored, 6)


@pytest.mark.parametrize("calls", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_writer_killed_at_the_birth_of_a_table_neither_loses_nor_doubles_a_row(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, after: bool, calls: int
) -> None:
    for stream in STREAMS:
        stored.add(readings(3), stream=stream)
    with monkeypatch.context() as patched:
        patched.setattr(LakeTables, "create", _killing(LakeTables.create, after, calls))
        with pytest.raises(Killed):
            await stored.drain()
    await _nothing_lost_or_doubled(stored, 3)


async def _nothing_lost_or_doubled(stored: Stored, count: int) -> None:
    for stream in STREAMS:
        stored.add(readings(3), stream=stream)
    await stored.drain()
    for stream in STREAMS:
        assert stored.sequences(stream) == list(range(1, count + 4))
    assert lake_lag(stored.engine).batches == 0


def _killing(step: Callable[..., object], after: bool, calls: int = 0) -> Callable[..., object]:
    """The step, at which the process ends when it was done so many times."""
    done = itertools.count()

    def killed(*args: object, **kwargs: object) -> object:
        if next(done) < calls:
            return step(*args, **kwargs)
        if after:
            step(*args, **kwargs)
        raise Killed

    return killed


@pytest.mark.parametrize(
    ("records", "waited_s", "is_due"),
    [
        (1, 0, False),
        (1, 299, False),
        (1, 300, True),
        (1_000, 19, False),
        (1_000, 20, True),
        (50_000, 1, False),
        (50_000, 2, True),
        (200_000, 0, True),
        (1, -1, True),
    ],
)
def test_the_more_records_wait_the_sooner_they_are_written(records: int, waited_s: int, is_due: bool) -> None:
    assert LakeSettings().is_due(records, waited_s * 1_000_000) is is_due


@pytest.mark.parametrize("per_s", [0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000])
def test_a_stream_never_waits_longer_than_the_bound_nor_has_more_commits_than_its_records_are_worth(
    per_s: float,
) -> None:
    settings = LakeSettings()
    every_s = next(age for age in range(1, 400) if settings.is_due(int(per_s * age), age * 1_000_000))
    assert 2 <= every_s <= 300
    assert every_s == 300 or per_s * every_s * every_s >= settings.worth_record_s


async def test_batches_wait_for_others_of_their_stream(stored: Stored) -> None:
    writer = stored.writer(within_us=2_000_000)
    stored.add(readings(1))
    writer._turn()
    assert stored.sequences() == []
    stored.clock.us += 2_000_000
    writer._turn()
    assert stored.sequences() == [1]
    await writer.close()


async def test_a_clock_that_was_set_back_keeps_nothing_waiting(stored: Stored) -> None:
    writer = stored.writer(within_us=2_000_000)
    stored.add(readings(1))
    stored.clock.us -= 86_400_000_000
    writer._turn()
    assert stored.sequences() == [1]
    await writer.close()


async def test_the_loop_writes_what_arrives_until_it_is_cancelled(stored: Stored) -> None:
    writer = stored.writer()
    stored.add(readings(1))
    running = asyncio.create_task(writer.run())
    await _until(lambda: stored.sequences() == [1])
    stored.add(readings(1))
    await _until(lambda: stored.sequences() == [1, 2])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await stored.drain() == 0


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  nothing tells when
        await asyncio.sleep(0.01)


async def test_a_stream_whose_table_cannot_be_written_does_not_hold_up_the_others(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.add(readings(1), stream="bad")
    stored.add(readings(1), stream="good")
    await stored.drain()
    stored.add(readings(1), stream="bad")
    stored.add(readings(1), stream="good")
    append = StreamTable.append

    def full(table: StreamTable, commit: int, rows: pa.Table) -> None:
        if table._app.endswith("bad"):
            raise OSError(28, "No space left on device")
        append(table, commit, rows)

    writer = stored.writer(within_us=0)
    with monkeypatch.context() as patched:
        patched.setattr(StreamTable, "append", full)
        writer._turn()
        writer._turn()
    assert (stored.sequences("bad"), stored.sequences("good")) == ([1], [1, 2])
    assert writer.fault == "bad: [Errno 28] No space left on device"
    writer._turn()
    assert writer.fault == ""
    assert stored.sequences("bad") == [1, 2]
    await writer.close()


async def test_a_table_that_was_changed_or_taken_away_meanwhile_is_opened_anew(stored: Stored) -> None:
    """A writer keeps the tables that it wrote last; an append to one that is gone would leave half a log behind."""
    writer = stored.writer()
    for _ in range(3):
        stored.add(readings(1))
        await writer.drain()
    table = stored.tables.open("boiler")
    assert table is not None
    assert table.compact(0, 0) == 3
    stored.add(readings(1))
    await writer.drain()
    assert stored.sequences() == [1, 2, 3, 4]
    shutil.rmtree(stored.lake / "boiler")
    stored.add(readings(1))
    await writer.drain()
    assert stored.sequences() == [5]
    await writer.close()


async def test_a_second_writer_has_to_wait(stored: Stored) -> None:
    stored.add(readings(1))
    first, second = stored.writer(), stored.writer()
    assert first._hold()
    with pytest.raises(Busy):
        await second.drain()
    await first.close()
    assert await second.drain() == 1
    await second.close()


class TestBadBatches:
    async def test_one_that_cannot_be_read_is_set_aside_and_the_others_go_on(self, stored: Stored) -> None:
        stored.add(readings(2))
        bad = stored.add_raw(RUBBISH, 3, 2)
        stored.add(readings(2), incarnation=bytes(8))
        await stored.drain()
        assert len(stored.rows()) == 4
        with reading(stored.engine) as connection:
            reason = connection.scalar(select(batches.c.quarantined).where(batches.c.id == bad))
        assert reason is not None
        assert "batch format" in reason
        assert lake_lag(stored.engine).quarantined == 1

    async def test_a_commit_of_bad_batches_alone_ends(self, stored: Stored) -> None:
        stored.add_raw(RUBBISH, 1, 2)
        assert await stored.drain() == 1
        assert await stored.drain() == 0
        assert stored.rows() == []

    async def test_one_with_another_count_than_its_header_says_is_bad(self, stored: Stored) -> None:
        good = stored.add(readings(3))
        with writing(stored.engine) as connection:
            connection.execute(batches.update().where(batches.c.id == good).values(count=4))
        await stored.drain()
        assert lake_lag(stored.engine).quarantined == 1

    async def test_it_is_tried_again_when_asked_and_written_once(self, stored: Stored) -> None:
        good = stored.add(readings(3))
        raw = stored.payload(good)
        with writing(stored.engine) as connection:
            values = {"raw": RUBBISH, "digest": digest_of(RUBBISH)}
            connection.execute(batches.update().where(batches.c.id == good).values(values))
        await stored.drain()
        with writing(stored.engine) as connection:
            assert raw is not None
            values = {"raw": raw, "digest": digest_of(raw)}
            connection.execute(batches.update().where(batches.c.id == good).values(values))
        writer = stored.writer()
        assert await writer.retry_quarantined() == 1
        await writer.drain()
        await writer.close()
        assert stored.sequences() == [1, 2, 3]
        assert lake_lag(stored.engine).quarantined == 0


async def test_the_lag_is_what_is_stored_and_not_in_the_lake(stored: Stored) -> None:
    stored.add(readings(3))
    stored.clock.us += 5
    stored.add(readings(4))
    lag = lake_lag(stored.engine)
    assert (lag.batches, lag.records, lag.oldest_us) == (2, 7, START_US)
    await stored.drain()
    lag = lake_lag(stored.engine)
    assert (lag.batches, lag.records, lag.oldest_us) == (0, 0, None)


class TestUpkeep:
    async def test_many_small_files_are_joined_and_the_rows_stay(self, stored: Stored) -> None:
        for _ in range(6):
            stored.add(readings(10))
            await stored.drain()
        table = stored.tables.open("boiler")
        assert table is not None
        assert table.compact(max_small_files=5, vacuum_after_h=0) == 6
        assert len(list((stored.lake / "boiler").glob("*.parquet"))) == 1
        stored.add(readings(10))
        await stored.drain()
        assert stored.sequences() == list(range(1, 71))

    async def test_few_files_are_left_alone(self, stored: Stored) -> None:
        stored.add(readings(10))
        await stored.drain()
        table = stored.tables.open("boiler")
        assert table is not None
        assert table.compact(max_small_files=5, vacuum_after_h=0) == 0

    async def test_the_loop_does_it(self, stored: Stored) -> None:
        writer = stored.writer(within_us=0, max_small_files=2, vacuum_after_h=0, forget_every_s=0)
        for _ in range(4):
            stored.add(readings(10))
            writer._turn()
        await writer.close()
        assert len(list((stored.lake / "boiler").glob("*.parquet"))) < 4
        assert stored.sequences() == list(range(1, 41))

    async def test_payloads_are_given_up_when_they_are_old_and_in_the_lake(self, stored: Stored) -> None:
        writer = stored.writer(within_us=0, payloads_kept_us=1_000_000, forget_every_s=0)
        old = stored.add(readings(1))
        writer._turn()
        stored.clock.us += 1_000_001
        new = stored.add(readings(1))
        writer._turn()
        assert stored.payload(old) is None
        assert stored.payload(new) is not None
        await writer.close()


class TestRestoredStore:
    async def test_a_lake_ahead_of_its_store_is_rolled_back_and_written_again_once(self, stored: Stored) -> None:
        stored.add(readings(3))
        await stored.drain()
        for start in (3, 6):
            stored.add(readings(3, start))
            await stored.drain()
        self._restore_from_backup(stored, after_commit=1)
        stored.add(readings(6, 3))  # the site sends again, in other batches
        await stored.drain()
        assert stored.sequences() == list(range(1, 10))
        assert await stored.drain() == 0

    async def test_the_rollback_is_done_once(self, stored: Stored) -> None:
        for _ in range(2):
            stored.add(readings(3))
            await stored.drain()
        self._restore_from_backup(stored, after_commit=1)
        await stored.drain()
        stored.add(readings(3, 3))
        await stored.drain()
        await stored.drain()
        assert stored.sequences() == list(range(1, 7))

    def _restore_from_backup(self, stored: Stored, after_commit: int) -> None:
        """The store forgets everything after a lake commit, as if a backup of then had been put back."""
        with writing(stored.engine) as connection:
            gone = select(batches.c.id).where(batches.c.lake_commit > after_commit)
            connection.execute(row_digests.delete().where(row_digests.c.batch_id.in_(gone)))
            connection.execute(batches.delete().where(batches.c.lake_commit > after_commit))
            connection.execute(lake_commits.delete().where(lake_commits.c.id > after_commit))
            stored.continue_after(connection.scalar(select(func.max(batches.c.first + batches.c.count - 1))))
