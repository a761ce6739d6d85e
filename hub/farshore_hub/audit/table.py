"""One table of the lake held against the digests of the batches in it; a generator, so that others set the pace."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import pyarrow.dataset as pads

from farshore_hub.audit.rows import Expected, Sums
from farshore_hub.lake.naming import SITE
from farshore_hub.lake.tables import UNREADABLE, StreamTable, TableFile
from farshore_hub.store.audit import LakeEntry


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that is gone or cannot be read, and why."""

    path: str
    size: int
    why: str


@dataclass(slots=True)
class Found:
    """What a look at a table has found.

    Attributes:
        wrong: batches whose rows are not what was written.
        nobodys: how many rows no batch has.
    """

    rows: int = 0
    read_bytes: int = 0
    wrong: list[LakeEntry] = field(default_factory=list)
    bad_files: list[BadFile] = field(default_factory=list)
    nobodys: int = 0


def of_sites(after: str, last: str) -> pads.Expression:
    """The condition for rows of the sites whose names are after the first and up to the last."""
    site = pads.field(SITE)
    return (site > after) & (site <= last)


def of_site(name: str) -> pads.Expression:
    """The condition for rows of one site."""
    return pads.field(SITE) == name


def check_table(table: StreamTable, entries: list[LakeEntry], where: pads.Expression) -> Generator[int, None, Found]:
    """Read all rows that a condition holds for; yields how many bytes of the files were read since.

    Raises:
        OSError: of the machine or of the object store, not of a file.
    """
    expected, found = Expected(entries), Found()
    total = Sums(expected)
    for file in table.files():
        sums = Sums(expected)
        try:
            yield from _read(file, where, sums, found)
        except UNREADABLE as error:
            if not file.is_to_blame(error):
                raise
            found.bad_files.append(BadFile(file.path, file.size, _first_line(error)))
        else:
            total.join(sums)
    found.wrong = [entry for entry, _, _ in total.wrong()]
    found.nobodys = total.nobodys
    return found


def _read(file: TableFile, where: pads.Expression, sums: Sums, found: Found) -> Iterator[int]:
    """Count the rows of a file; they cost what the whole file does, in equal parts."""
    spent = 0
    for rows in file.batches(where):
        sums.add(rows)
        found.rows += rows.num_rows
        part = min(rows.nbytes, file.size - spent)
        spent += part
        yield part
    found.read_bytes += file.size
    yield file.size - spent


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
