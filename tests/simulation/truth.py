"""What really happened: every record that a producer made, what it was promised, and what was physically destroyed.

The oracle compares the hub with this. Nothing here looks at what the product believes, except where a disk is destroyed
or replaced: what it held, and its successor does not, is *at risk*, because no system could bring it back.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from farshore_protocol.ranges import EMPTY, RangeSet, upto
from tests.simulation.disk import Image, lay_out

Key = tuple[str, bytes, str]
"""Site, incarnation, stream."""


@dataclass(frozen=True)
class Promise:
    """A producer was told that this record is on disk, under this sequence."""

    name: str
    sequence: int


@dataclass
class Truth:
    """Records by the name that their content bears.

    Attributes:
        made: site and stream of every record that a producer tried to append.
        promised: by key, in the order of the promises. A sequence is promised twice only where a machine was doubled.
        refused: appends that were answered with an error which says that nothing was stored.
        risk: what was on a disk that is gone, and is on none that is left.
        excused: of this, what the hub did not have either at that moment, or lost with a restore.
        doubled: a running machine was doubled: two may use the same sequences.
        asides_lost: the hub was restored after that, and what it had kept aside may be gone. Of a batch that lost its
            place an agent only knows that the hub has its sequences, so it sends it once more only when it is told to;
            by then an agent that forgets what it has delivered may have let go of it.
    """

    made: dict[str, tuple[str, str]] = field(default_factory=dict)
    promised: dict[Key, list[Promise]] = field(default_factory=lambda: defaultdict(list))
    refused: set[str] = field(default_factory=set)
    risk: dict[Key, RangeSet] = field(default_factory=dict)
    excused: dict[Key, RangeSet] = field(default_factory=dict)
    doubled: bool = False
    asides_lost: bool = False

    def make(self, site: str, stream: str) -> str:
        """The name of a new record."""
        name = f"{site}-{len(self.made)}"
        self.made[name] = (site, stream)
        return name

    def promise(self, key: Key, first: int, names: Iterable[str]) -> None:
        """A producer was answered."""
        self.promised[key] += [Promise(name, first + at) for at, name in enumerate(names)]

    def disk_replaced(self, site: str, before: Image, after: Image, hub: Image) -> None:
        """An agent's disk was replaced by an older copy, or destroyed."""
        held, stays, stored = given_out(before), present(after), stored_at(hub)
        for named, head in held.items():
            key = (site, *named)
            gone = upto(head) - stays.get(named, EMPTY)
            self.risk[key] = self.risk.get(key, EMPTY) | gone
            self.excused[key] = self.excused.get(key, EMPTY) | (gone - stored.get(key, EMPTY))

    def hub_restored(self, image: Image) -> None:
        """The hub's database was replaced by an older copy."""
        self.asides_lost = self.asides_lost or self.doubled
        stored = stored_at(image)
        for key, gone in self.risk.items():
            self.excused[key] = self.excused.get(key, EMPTY) | (gone - stored.get(key, EMPTY))


def given_out(image: Image) -> dict[tuple[bytes, str], int]:
    """The head of every stream in an agent's file, by incarnation and name."""
    rows = _rows(
        image, "buffer.db", "SELECT l.incarnation, s.name, s.head FROM streams s JOIN lives l ON l.id = s.life"
    )
    return {(incarnation, name): head for incarnation, name, head in rows}


def present(image: Image) -> dict[tuple[bytes, str], RangeSet]:
    """What the rows of an agent's file hold, sealed or not, acknowledged or not."""
    of = "FROM streams s JOIN lives l ON l.id = s.life"
    sealed = f"SELECT l.incarnation, s.name, b.first, b.last {of} JOIN batches b ON b.stream = s.id"
    tail = f"SELECT l.incarnation, s.name, c.first, c.first + c.count - 1 {of} JOIN chunks c ON c.stream = s.id"
    ranges: dict[tuple[bytes, str], list[tuple[int, int]]] = defaultdict(list)
    for query in (sealed, tail):
        for incarnation, name, first, last in _rows(image, "buffer.db", query):
            ranges[incarnation, name].append((first, last))
    return {named: RangeSet.of(*found) for named, found in ranges.items()}


def stored_at(image: Image) -> dict[Key, RangeSet]:
    """What the rows of a hub's database hold, by site, incarnation and stream; its own accounts are not asked."""
    ranges: dict[Key, list[tuple[int, int]]] = defaultdict(list)
    query = """SELECT s.name, a.incarnation, a.stream, b.first, b.count, b.take
        FROM batches b JOIN accounts a ON a.id = b.account_id JOIN sites s ON s.id = a.site_id"""
    for site, incarnation, stream, first, count, take in _rows(image, "hub.db", query):
        ranges[site, incarnation, stream] += taken(first, count, take)
    return {key: RangeSet.of(*found) for key, found in ranges.items()}


def taken(first: int, count: int, take: bytes | None) -> Iterator[tuple[int, int]]:
    """The ranges of a batch that count as stored."""
    if take is None:
        yield first, first + count - 1
    else:
        flat = msgspec.msgpack.decode(take, type=list[int])
        yield from zip(flat[::2], flat[1::2], strict=True)


@contextmanager
def opened(image: Image, name: str) -> Iterator[sqlite3.Connection]:
    """A copy of a database, for looking at it."""
    with TemporaryDirectory(dir=_memory()) as folder:
        lay_out({file: content for file, content in image.items() if file.startswith(name)}, Path(folder))
        with closing(sqlite3.connect(Path(folder) / name)) as connection:
            yield connection


def _rows(image: Image, name: str, query: str) -> list[Any]:
    with opened(image, name) as connection:
        # A machine that died in its very first moments has no tables yet.
        is_made = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        return connection.execute(query).fetchall() if is_made else []


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
