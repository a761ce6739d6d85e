"""CSV (RFC 4180): the first row names the columns, cells become numbers, text or null.

Pure. A quoted cell may hold line ends. A row that is damaged is refused with its line, and reading goes on with the
next line, so that one stray quote does not swallow the rest of a file.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from math import isfinite
from typing import Final

from farshore_agent.buffer.model import Refused
from farshore_agent.collect.admit import admit
from farshore_agent.collect.formats import Piece, State, UnusableFile, with_lines
from farshore_agent.collect.why import raw_text
from farshore_agent.settings.streams import StreamPolicy
from farshore_protocol.limits import KIB, MAX_RECORD_FIELDS

MAX_ROW_BYTES: Final = 64 * KIB
"""Of a row of several lines: beyond it, a quote that was never closed is the likelier story."""

NULLS: Final = frozenset({"", "NA"})

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,299})")
_DECIMAL: Final = re.compile(r"-?(?:(?:0|[1-9][0-9]{0,299})(?:\.[0-9]{1,300})?|\.[0-9]{1,300})(?:[eE][-+]?[0-9]{1,3})?")
_BOM: Final = "\ufeff"
_CACHED_CELLS: Final = 4096

Cell = int | float | str | None


@dataclass(frozen=True, slots=True)
class _Row:
    """A row, or why it is none; it takes the lines `first` up to before `end`."""

    first: int
    end: int
    cells: list[str]
    why: str = ""


@functools.lru_cache(_CACHED_CELLS)
def typed(cell: str) -> Cell:
    """The value of a cell: null if empty or NA, a number if it is written like one, else text.

    What a number would lose stays text: leading zeros, as in identifiers, and what is larger than a float.
    """
    if cell in NULLS:
        return None
    if _INTEGER.fullmatch(cell):
        return int(cell)
    if _DECIMAL.fullmatch(cell):
        number = float(cell)
        return number if isfinite(number) else cell
    return cell


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """Reads CSV with a given delimiter."""

    delimiter: str = ","

    def __call__(self, data: bytes, state: State, policy: StreamPolicy, now_us: int, *, final: bool) -> Piece:
        """Admit whole rows; the bytes of a row that may go on are not consumed."""
        raw_lines = data.split(b"\n")
        if not raw_lines[-1]:
            raw_lines.pop()
        text = data.decode(errors="surrogateescape")
        # Only a file begins with a byte order mark, not what is left of one after blank lines.
        rows = list(self._rows(text if state.line else text.removeprefix(_BOM), len(raw_lines), final=final))
        end = rows[-1].end if rows else 0
        header, rows = _header(state.header, rows, policy)
        records: list[object] = []
        numbered: list[tuple[int, bytes]] = []
        bad: list[Refused] = []
        for row in rows:
            line, raw = state.line + row.first + 1, b"\n".join(raw_lines[row.first : row.end])
            why = row.why or _misfit(row.cells, header) or _undecoded(raw)
            if why:
                bad.append(Refused(line, None, why, raw_text(raw)))
            elif row.cells:
                records.append(dict(zip(header, map(typed, row.cells), strict=True)))
                numbered.append((line, raw))
        admitted = with_lines(admit(records, policy, now_us, first_line=0), numbered)
        refused = sorted([*admitted.refused, *bad], key=lambda one: one.line)
        consumed = min(sum(map(len, raw_lines[:end])) + end, len(data))
        return Piece(replace(admitted, refused=refused), consumed, State(state.line + end, header or None))

    def _rows(self, text: str, count: int, *, final: bool) -> Iterator[_Row]:
        """The rows of `count` lines; after a damaged one it starts again at the next line."""
        lines = text.split("\n")
        rest = _lengths_from(lines)
        first = doomed = 0
        while first < count:
            started = first
            # In a row that goes on over lines before `doomed`, the reader is inside quotes there, as it was when it
            # failed: it would fail again. So it need not be tried, and no line is looked at more than twice.
            stop = first + 1 if first + 1 < doomed else count
            reader = csv.reader(
                (lines[at] + "\n" for at in range(started, stop)), delimiter=self.delimiter, strict=True
            )
            try:
                for cells in reader:
                    end = started + reader.line_num
                    yield _Row(first, end, cells)
                    first = end
            except csv.Error as error:
                reached = started + reader.line_num
                is_open = max(reached, doomed if stop < count else 0) >= count
                if is_open and not final and rest[first] <= MAX_ROW_BYTES:
                    return
                yield _Row(first, first + 1, [], f"not a CSV row: {error}")
                doomed = max(doomed, reached)
                first += 1


def _header(
    known: tuple[str, ...] | None, rows: list[_Row], policy: StreamPolicy
) -> tuple[tuple[str, ...], list[_Row]]:
    """The columns' names, and the rows without the one that named them.

    Raises:
        UnusableFile: the first row names no columns, or none that holds the time.
    """
    if known is not None:
        return known, rows
    at = next((at for at, row in enumerate(rows) if row.cells or row.why), None)
    if at is None:
        return (), []
    named = rows[at]
    names = [name.strip() for name in named.cells]
    if named.why or not all(names) or len(set(names)) != len(names) or len(names) > MAX_RECORD_FIELDS:
        raise UnusableFile(f"the first row must name every column once, it is {[name[:40] for name in names[:10]]}")
    if policy.time_field is not None and policy.time_field not in names:
        raise UnusableFile(
            f"there is no column {policy.time_field!r}, the stream's time_field, in {', '.join(names)[:200]}"
        )
    return tuple(names), rows[at + 1 :]


def _lengths_from(lines: list[str]) -> list[int]:
    """For each line the characters from it to the end."""
    return list(accumulate(map(len, reversed(lines))))[::-1]


def _undecoded(raw: bytes) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start + 1}"
    return ""


def _misfit(cells: list[str], header: tuple[str, ...]) -> str:
    if not cells or len(cells) == len(header):
        return ""
    return f"has {len(cells)} cells, the header names {len(header)} columns"
