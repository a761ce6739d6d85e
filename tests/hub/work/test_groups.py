"""What arrives while a group is at work goes into the next one, and nobody pays for a neighbour."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from farshore_hub.work.groups import GroupBounds, Groups


class Doubling:
    """Doubles numbers, a group at a time, when it is let; refuses 13 and falls over 99."""

    def __init__(self, bounds: GroupBounds) -> None:
        self.groups: list[list[int]] = []
        self.at_work = self.most_at_work = 0
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.double = Groups(self._work, bounds)

    async def _work(self, members: list[int]) -> Sequence[int | Exception]:
        self.groups.append(members)
        self.begun.set()
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        await self.go.wait()
        self.at_work -= 1
        if 99 in members:
            raise OSError("fell over 99")
        return [ValueError("13") if member == 13 else 2 * member for member in members]

    async def all(self, *numbers: int, size: int = 0) -> list[int | BaseException]:
        asked = [asyncio.ensure_future(self.double(number, size)) for number in numbers]
        await self.begun.wait()
        self.go.set()
        return await asyncio.gather(*asked, return_exceptions=True)


async def test_who_comes_while_a_group_is_at_work_is_in_the_next_one() -> None:
    doubling = Doubling(GroupBounds(members=3))
    first = asyncio.ensure_future(doubling.double(1))
    await doubling.begun.wait()
    assert await doubling.all(2, 3, 4, 5) == [4, 6, 8, 10]
    assert await first == 2
    assert doubling.groups == [[1], [2, 3, 4], [5]]


async def test_each_gets_its_own_outcome() -> None:
    [two, refused, six] = await Doubling(GroupBounds(members=9)).all(1, 13, 3)
    assert (two, six) == (2, 6)
    assert isinstance(refused, ValueError)


async def test_one_that_makes_its_group_fail_fails_alone() -> None:
    doubling = Doubling(GroupBounds(members=9))
    [two, failed, six] = await doubling.all(1, 99, 3)
    assert (two, six) == (2, 6)
    assert isinstance(failed, OSError)
    assert doubling.groups == [[1, 99, 3], [1], [99], [3]]


async def test_a_group_is_no_larger_than_its_bound_and_a_large_member_goes_alone() -> None:
    doubling = Doubling(GroupBounds(members=9, size=10))
    small = asyncio.gather(*(doubling.double(number, 4) for number in (1, 2, 3)))
    await doubling.all(4, 5, size=11)
    assert await small == [2, 4, 6]
    assert doubling.groups == [[1, 2], [3], [4], [5]]


@pytest.mark.parametrize("at_once", [1, 3])
async def test_so_many_groups_are_at_work_at_a_time(at_once: int) -> None:
    doubling = Doubling(GroupBounds(members=1, at_once=at_once))
    assert await doubling.all(*range(5)) == [0, 2, 4, 6, 8]
    assert doubling.most_at_work == at_once


async def test_who_has_gone_is_worked_for_and_not_told() -> None:
    doubling = Doubling(GroupBounds(members=9))
    gone = asyncio.ensure_future(doubling.double(7))
    await doubling.begun.wait()
    gone.cancel()
    assert await doubling.all(1) == [2]
    assert doubling.groups == [[7], [1]]


async def test_whoever_comes_when_the_last_group_is_done_is_served() -> None:
    """A worker that has found nothing waiting is no worker any more, though its task still has to be cleared away."""
    doubling = Doubling(GroupBounds(members=9))
    doubling.go.set()
    async with asyncio.timeout(60):
        assert [await doubling.double(number) for number in range(20, 40)] == [2 * number for number in range(20, 40)]
