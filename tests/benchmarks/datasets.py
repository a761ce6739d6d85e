"""Records out of CSV, NDJSON and text files, gzipped or not, as the agent's folder input would make them.

CSV: the header names the fields; a column is integers if every cell is an integer literal, else floats if every cell is
a number, else text as it stands, times included; an empty cell or NA is null. A header that is one cell shorter than
the rows, as R writes it, leaves the first column without a name: it is called "row". NDJSON: each line is a record.
Anything else is text: each line is {"message": line}.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

Record: TypeAlias = dict[str, Any]

_NO_VALUE: Final = ("", "NA")
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_FIELD_NAME: Final = re.compile(r"[\w .%/()-]{0,60}\Z")
_SNIFFED_LINES: Final = 20


def load(path: Path) -> list[Record]:
    """The records of one file."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8", "replace")
    lines = [line for line in text.split("\n") if line.strip()]
    if lines and lines[0].lstrip().startswith("{"):
        return [json.loads(line) for line in lines]
    if _is_csv(lines[:_SNIFFED_LINES]):
        return _from_csv(lines)
    return [{"message": line.rstrip("\r")} for line in lines]


def _is_csv(lines: list[str]) -> bool:
    rows = list(csv.reader(lines))
    widths = set(map(len, rows[1:]))
    has_names = all(map(_FIELD_NAME.match, rows[0]))
    return has_names and len(widths) == 1 and max(widths) > 1 and len(rows[0]) in (max(widths), max(widths) - 1)


def _from_csv(lines: list[str]) -> list[Record]:
    header, *rows = csv.reader(lines)
    if rows and len(header) < len(rows[0]):
        header = ["row", *header]
    columns = [_typed(list(column)) for column in zip(*rows, strict=True)]
    return [dict(zip(header, row, strict=True)) for row in zip(*columns, strict=True)]


def _typed(cells: list[str]) -> list[Any]:
    live = [cell for cell in cells if cell not in _NO_VALUE]
    kind: Callable[[str], Any] = str
    if all(map(_INTEGER.match, live)):
        kind = int
    elif all(map(_is_number, live)):
        kind = float
    return [None if cell in _NO_VALUE else kind(cell) for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def interleave(files: dict[str, list[Record]]) -> list[Record]:
    """The records of all files in the order of their time, as one stream that several devices share.

    The time is the first column that holds times or never decreases in any file. Unless a column tells the files apart
    already, a column "file" does.
    """
    tables = list(files.values())
    order = next(_orders(tables))
    if not any(_tells_apart(key, tables) for key in tables[0][0]):
        files = {name: [{"file": name, **record} for record in records] for name, records in files.items()}
    return sorted((record for records in files.values() for record in records), key=lambda record: record[order])


def _orders(tables: list[list[Record]]) -> Iterator[str]:
    for key in tables[0][0]:
        if all(is_time_text(record[key]) for records in tables for record in records[:100]):
            yield key
    for key in tables[0][0]:
        if all(_never_decreases([record[key] for record in records]) for records in tables):
            yield key
    raise ValueError("no column of these files says when a record was made")


def is_time_text(value: object) -> bool:
    """Whether a cell is a time as text."""
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return isinstance(value, str)


def _never_decreases(values: list[Any]) -> bool:
    return None not in values and values == sorted(values)


def _tells_apart(key: str, tables: list[list[Record]]) -> bool:
    values = [{record.get(key) for record in records} for records in tables]
    return all(len(each) == 1 for each in values) and len(set.union(*values)) == len(tables)
