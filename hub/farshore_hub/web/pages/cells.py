"""Hours as cells: what can be said of each hour, and the shapes that show it without colour. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from farshore_hub.ledger.hours import HourState


class Cell(enum.StrEnum):
    """What can be said of one hour of a site or a stream; the value is its letter."""

    COMPLETE = "c"
    PENDING = "p"
    SHED = "s"
    GAP = "g"
    UNKNOWN = "u"
    NONE = "n"
    """Nothing is known to have been produced."""


WORDS: Final = {
    Cell.COMPLETE: "complete",
    Cell.PENDING: "at the edge",
    Cell.SHED: "given up",
    Cell.GAP: "missing",
    Cell.UNKNOWN: "silent",
    Cell.NONE: "nothing produced",
}

_LETTERS: Final = {
    HourState.EMPTY: Cell.NONE,
    HourState.COMPLETE: Cell.COMPLETE,
    HourState.SHED: Cell.SHED,
    HourState.PENDING: Cell.PENDING,
    HourState.UNKNOWN: Cell.UNKNOWN,
    HourState.GAP: Cell.GAP,
}
_SHAPES: Final[dict[Cell, tuple[tuple[int, int], ...]]] = {
    Cell.COMPLETE: ((2, 4),),
    Cell.PENDING: ((4, 4),),
    Cell.SHED: ((0, 1), (3, 2), (7, 1)),
    Cell.GAP: ((0, 8),),
    Cell.UNKNOWN: ((7, 1),),
}
"""For each state the bars that it is drawn as: top and height, of 8. No two look alike without their colour."""


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A row of cells, drawn.

    Attributes:
        hours: how many cells it has.
        paths: by letter, the outline of all cells of a state in a box of `hours` by 8.
        runs: the cells in short: `c20p3g1`.
        said: the same in words.
    """

    hours: int
    paths: list[tuple[str, str]]
    runs: str
    said: str


def letters(states: Iterable[HourState]) -> str:
    """The letters of states."""
    return "".join(map(_LETTERS.__getitem__, states))


def letter(state: HourState) -> Cell:
    """The cell of a state."""
    return _LETTERS[state]


def ribbon(cells: str) -> Ribbon:
    """Draw a row of cells, given by their letters, the oldest first."""
    paths: dict[str, list[str]] = {}
    runs = list(_runs(cells))
    at = 0
    for letter, count in runs:
        for top, height in _SHAPES.get(Cell(letter), ()):
            paths.setdefault(letter, []).append(f"M{at} {top}h{count}v{height}h-{count}z")
        at += count
    outlines = [(letter, "".join(parts)) for letter, parts in paths.items()]
    return Ribbon(len(cells), outlines, "".join(f"{letter}{count}" for letter, count in runs), said(cells))


def said(cells: str) -> str:
    """A row of cells in words, what is worst first."""
    counts = Counter(cells)
    parts = [f"{counts[cell]} {WORDS[cell]}" for cell in _WORST_FIRST if counts[cell]]
    return f"last {len(cells)} hours: {', '.join(parts)}" if parts else "no hours are known"


def tally(rows: Iterable[str], hours: int) -> list[Counter[str]]:
    """For each hour, how many rows have which cell in it."""
    columns: list[Counter[str]] = [Counter() for _ in range(hours)]
    for row, count in Counter(rows).items():
        for column, letter in zip(columns, row, strict=True):
            column[letter] += count
    return columns


_WORST_FIRST: Final = (Cell.GAP, Cell.UNKNOWN, Cell.PENDING, Cell.SHED, Cell.COMPLETE)


def _runs(cells: str) -> Iterator[tuple[str, int]]:
    for letter, run in groupby(cells):
        yield letter, sum(1 for _ in run)
