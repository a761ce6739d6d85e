"""The small parts that the port and its loops are made of."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub import errors
from farshore_hub.errors import Busy, HubError
from farshore_hub.texts.tables import plain, rows_of
from farshore_hub.web.problems import problem_of
from farshore_hub.work.bounded import BoundedRunner
from farshore_hub.work.loops import Loop
from farshore_protocol import errors as protocol
from farshore_shell.system import ThreadRunner
from tests.hub.fleet.site import TurnableClock

ALL = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, HubError)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_told_as_a_problem_with_its_status_and_remedy(kind: type[HubError]) -> None:
    answer = problem_of(kind("what is wrong", remedy="what to do"))
    told = json.loads(bytes(answer.body))
    assert (told["detail"], told["remedy"], told["status"]) == ("what is wrong", "what to do", answer.status_code)
    assert told["type"] == f"urn:farshore:problem:{kind.kind}"
    assert 1 <= kind.exit_code < 10


def test_kinds_are_told_apart() -> None:
    assert len({kind.kind for kind in ALL}) == len(ALL)


def test_a_busy_hub_says_when_to_come_back() -> None:
    assert problem_of(Busy("full", retry_after_s=17)).headers["retry-after"] == "17"


@pytest.mark.parametrize(
    ("theirs", "status"),
    [
        (protocol.Malformed, 400),
        (protocol.NotAuthentic, 403),
        (protocol.OverLimit, 413),
        (protocol.Unsupported, 422),
        (protocol.ProtocolError, 400),
    ],
)
def test_errors_of_the_protocol_have_their_own_status(theirs: type[protocol.ProtocolError], status: int) -> None:
    assert errors.of_protocol(theirs("what is wrong")).status == status


async def test_a_loop_that_fails_says_so_and_starts_again() -> None:
    attempts, again = [], asyncio.Event()

    async def work() -> None:
        attempts.append(loop.fault)
        if len(attempts) == 1:
            raise OSError("no disk")
        again.set()
        await asyncio.Event().wait()

    loop = Loop("loop", work, TurnableClock(), retry_s=1)
    assert loop.fault == "not started"
    task = asyncio.create_task(loop.run())
    await again.wait()
    task.cancel()
    assert attempts == ["", ""]
    assert loop.fault == ""


async def test_a_bounded_runner_takes_on_so_much_and_no_more() -> None:
    threads = ThreadRunner("test", 2)
    run = BoundedRunner(threads, 1)
    first = asyncio.create_task(run(lambda: 1))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await run(lambda: 2)
    assert await first == 1
    assert await run(lambda: 3) == 3
    threads.close()


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(JSON_VALUES)
def test_every_value_of_a_query_can_be_told_as_json(value: object) -> None:
    json.dumps(plain(value), allow_nan=False)


def test_rows_keep_their_order_and_whole_decimals_are_numbers() -> None:
    table = pa.table({"a": pa.array([1, 2]), "s": pa.array([3, 4]).cast(pa.decimal128(38, 0))})
    assert rows_of(table) == [[1, 3], [2, 4]]
