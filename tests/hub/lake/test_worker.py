"""Workers are bounded by the kernel, end when nobody waits for them any more, and take nobody with them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from farshore_hub.errors import Busy, OverLimit, TimedOut
from farshore_hub.lake.export import Wanted
from farshore_hub.lake.worker.workers import MAX_EXPORTS, MAX_WORKERS, Workers
from farshore_shell.system import SystemClock
from tests.hub.lake.stored import MIB, WORKERS, Stored, readings
from tests.processes import children_of, until

ONE_CALL = "SELECT length(regexp_replace(repeat('a', 1000000), 'a', repeat('b', 10000), 'g'))"
"""Eight seconds in one call of a function."""


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Of this test alone."""
    own = Workers(SystemClock().monotonic_s)
    yield own
    own.close()


def no_worker_is_left(workers: Workers) -> bool:
    assert workers.zygote
    return not children_of(workers.zygote)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT len(range(1000000000))",
        "SELECT length(repeat('x', 1500000000))",
        "SELECT list(range) FROM range(100000000)",
    ],
)
def test_a_single_value_cannot_take_more_memory_than_there_is_for_a_query(stored: Stored, sql: str) -> None:
    with pytest.raises(OverLimit, match="memory"):
        stored.reader().query(sql)


def test_it_is_the_bound_of_the_process_that_holds(stored: Stored) -> None:
    """The same value with more room is given: no other bound stops it."""
    sql = "SELECT length(repeat('x', 200000000)) AS n"
    with pytest.raises(OverLimit):
        stored.reader(process_bytes=256 * MIB).query(sql)
    assert stored.reader(process_bytes=1024 * MIB).query(sql).to_pylist() == [{"n": 200_000_000}]


def test_a_single_call_of_a_function_does_not_outlast_the_time(stored: Stored) -> None:
    with pytest.raises(TimedOut):
        stored.reader(timeout_s=0.3).query(ONE_CALL)
    assert no_worker_is_left(WORKERS)


def test_a_query_that_nobody_waits_for_is_ended(stored: Stored) -> None:
    asked = stored.reader().ask(ONE_CALL)
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(OverLimit):
            list(asked.tables())
        ended.set()

    threading.Thread(target=read).start()
    until("the zygote runs", lambda: WORKERS.zygote)
    until("a worker answers", lambda: not no_worker_is_left(WORKERS))
    asked.close()
    assert ended.wait(60)
    assert no_worker_is_left(WORKERS)


def test_a_query_that_was_given_up_before_it_began_is_not_answered(stored: Stored) -> None:
    asked = stored.reader().ask(ONE_CALL)
    asked.close()
    with pytest.raises(OverLimit):
        list(asked.tables())


def test_an_export_that_is_left_ends_its_worker_and_leaves_no_file(stored: Stored, tmp_path: Path) -> None:
    stored.add(readings(60_000))
    pieces = iter(stored.reader().export(Wanted("boiler")))
    assert next(pieces)
    assert not no_worker_is_left(WORKERS)
    assert list((tmp_path / "spill").iterdir()) != []
    pieces.close()  # type: ignore[attr-defined]
    assert no_worker_is_left(WORKERS)
    assert list((tmp_path / "spill").iterdir()) == []


def test_an_export_for_which_there_is_too_little_memory_says_so(stored: Stored) -> None:
    stored.add(readings(60_000))
    with pytest.raises(OverLimit, match="memory"):
        list(stored.reader(memory_bytes=MIB).export(Wanted("boiler")))


def test_exports_leave_places_to_queries_and_no_more_are_answered_than_there_are_places(stored: Stored) -> None:
    stored.add(readings(60_000))
    reader = stored.reader()
    begun = [iter(reader.export(Wanted("boiler"))) for _ in range(MAX_EXPORTS)]
    assert all(next(each) for each in begun)
    with pytest.raises(Busy, match="enough exports"):
        next(iter(reader.export(Wanted("boiler"))))
    assert reader.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    with ExitStack() as others:
        for _ in range(MAX_WORKERS - MAX_EXPORTS):
            others.enter_context(WORKERS.place())
        with pytest.raises(Busy, match="queries"):
            reader.query("SELECT 1")
    begun.pop()
    next(iter(reader.export(Wanted("boiler"))))


def test_a_zygote_that_was_killed_takes_its_workers_along_and_is_started_anew(workers: Workers) -> None:
    with workers.place():
        conversation = workers.open()
        zygote = workers.zygote
        assert zygote
        until("the worker is there", lambda: not no_worker_is_left(workers))
        os.kill(zygote, signal.SIGKILL)
        with conversation:
            conversation.settimeout(60)
            assert conversation.recv(1) == b""
    with workers.open():
        assert workers.zygote != zygote


def test_workers_end_with_the_hub(workers: Workers) -> None:
    with workers.open() as conversation:
        workers.close()
        conversation.settimeout(60)
        assert conversation.recv(1) == b""


def test_the_zygote_has_one_thread_or_it_must_not_fork(workers: Workers) -> None:
    workers.open().close()
    until("it is up", lambda: workers.zygote and no_worker_is_left(workers))
    assert len(list(Path(f"/proc/{workers.zygote}/task").iterdir())) == 1


def test_a_worker_is_what_the_system_ends_first(stored: Stored) -> None:
    stored.add(readings(60_000))
    pieces = iter(stored.reader().export(Wanted("boiler")))
    assert next(pieces)
    assert WORKERS.zygote
    (worker,) = children_of(WORKERS.zygote)
    assert Path(f"/proc/{worker}/oom_score_adj").read_text().strip() == "1000"
