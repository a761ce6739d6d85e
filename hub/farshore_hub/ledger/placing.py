"""To which hours do records belong that the hub never saw? Pure.

A receipt usually says it. Of a gap, and of a receipt that does not, two things are known: between which records it
lies, and in which hours, by the site's own counts, how many records are missing. What is placed always adds up.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from farshore_hub.ledger.account import Account, balance
from farshore_protocol.hours import OUTSIDE
from farshore_protocol.ranges import EMPTY, Range, RangeSet

MAX_WINDOWS: Final = 16
"""Pieces that are looked at one by one; of more, each lies between the first and the last of them."""


@dataclass(frozen=True, slots=True)
class Window:
    """Some records, and the first and last hour that they can be of."""

    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ReceiptHours:
    """A receipt, as far as it matters here; `hours` counts all of its range, and is empty where that is not known."""

    first: int
    last: int
    hours: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Placed:
    """What was shed and what is nowhere, by the hour; `inferred` when a receipt did not say it all."""

    shed: dict[int, int]
    gap: dict[int, int]
    inferred: bool


Neighbours = Callable[[Range], tuple[int | None, int | None]]
"""The hours of the records before and after a range; None where there are none, or they are not known."""


def shed_by_receipts(receipts: Iterable[ReceiptHours], stored: RangeSet) -> tuple[dict[int, int], RangeSet]:
    """What receipts, in the order of their arrival, say by the hour of what is not stored; and what they do not say."""
    shed: dict[int, int] = {}
    covered, unsaid = EMPTY, EMPTY
    for receipt in receipts:
        whole = RangeSet(((receipt.first, receipt.last),))
        fresh = whole - stored - covered
        said = hours_of_part(receipt.hours, whole.count, fresh.count)
        if said is None:
            unsaid |= fresh
        else:
            _add(shed, said)
        covered |= whole
    return shed, unsaid


def hours_of_part(hours: Mapping[int, int], whole: int, part: int) -> dict[int, int] | None:
    """The hours of `part` of `whole` records, if those of all of them tell it."""
    if part == 0:
        return {}
    if sum(hours.values()) != whole:
        return None
    if part == whole:
        return dict(hours)
    return dict.fromkeys(hours, part) if len(hours) == 1 else None


def place(
    account: Account,
    produced: Mapping[int, int],
    stored: Mapping[int, int],
    receipts: Iterable[ReceiptHours],
    neighbours: Neighbours,
) -> Placed:
    """Give everything of an account that is shed or nowhere its hour.

    Args:
        account: as it stands.
        produced: what the site told, by the hour.
        stored: what is stored, by the hour.
        receipts: in the order in which they arrived.
        neighbours: looks at the records around a range.
    """
    shed, unsaid = shed_by_receipts(receipts, account.stored - account.wanted)
    gaps = balance(account).gaps
    room = {
        hour: missing
        for hour, count in sorted(produced.items())
        if (missing := count - stored.get(hour, 0) - shed.get(hour, 0)) > 0
    }
    _add(shed, _filled(room, _windows(unsaid, neighbours, room)))
    return Placed(shed, _filled(room, _windows(gaps, neighbours, room)), bool(unsaid or gaps))


def _windows(ranges: RangeSet, neighbours: Neighbours, room: Mapping[int, int]) -> list[Window]:
    pieces: Sequence[Range] = ranges.ranges
    if len(pieces) > MAX_WINDOWS:
        return [_window((pieces[0][0], pieces[-1][1]), ranges.count, neighbours, room)]
    return [_window(each, each[1] - each[0] + 1, neighbours, room) for each in pieces]


def _window(span: Range, count: int, neighbours: Neighbours, room: Mapping[int, int]) -> Window:
    before, after = neighbours(span)
    known = [hour for hour in (before, after) if hour is not None]
    first = before if before is not None else min([*room, *known], default=OUTSIDE)
    last = after if after is not None else max([*room, *known], default=OUTSIDE)
    return Window(count, min(first, last), max(first, last))


def _filled(room: dict[int, int], windows: Sequence[Window]) -> dict[int, int]:
    """Take the windows' records out of the room, each within its hours as far as there is room in them.

    Hours rise, and the window that ends first goes first: no other order places more. What finds no room between its
    neighbours takes what is left elsewhere, because records need not be in the order of their times; and what then is
    left is of hours that the site has not told of, and stands in the first hour of its window.
    """
    placed: dict[int, int] = {}
    left = [window.count for window in windows]
    waiting = sorted(range(len(windows)), key=lambda at: windows[at].first, reverse=True)
    open_: list[tuple[int, int]] = []
    for hour in sorted(room):
        while waiting and windows[waiting[-1]].first <= hour:
            at = waiting.pop()
            heapq.heappush(open_, (windows[at].last, at))
        while open_ and room[hour]:
            last, at = open_[0]
            if last < hour or not left[at]:
                heapq.heappop(open_)
                continue
            left[at] -= _take(room, placed, hour, left[at])
    for at, window in enumerate(windows):
        for hour in sorted(room):
            left[at] -= _take(room, placed, hour, left[at])
        if left[at]:
            _add(placed, {window.first: left[at]})
    return placed


def _take(room: dict[int, int], placed: dict[int, int], hour: int, wanted: int) -> int:
    taken = min(room[hour], wanted)
    room[hour] -= taken
    if taken:
        _add(placed, {hour: taken})
    return taken


def _add(total: dict[int, int], more: Mapping[int, int]) -> None:
    for hour, count in more.items():
        total[hour] = total.get(hour, 0) + count
