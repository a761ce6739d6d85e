"""Followed tables: what a site asks, the pages that it gets, cursors that it sends back, and filters."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import zstandard

from farshore_hub.merge import filters
from farshore_hub.share import cursor
from farshore_protocol import limits, wire
from farshore_protocol.errors import ProtocolError
from farshore_protocol.tables import (
    Ask,
    ColumnTold,
    Followed,
    Page,
    Pages,
    RowTold,
    open_ask,
    open_pages,
    pack_ask,
    pack_pages,
)
from tests.fuzz.target import target

_EPOCH = cursor.Epoch(b"epoch-01", 0)
_VERSION = 40
_SCOPE = b"scope-01"


@target(seeds=lambda: [pack_ask(Ask([Followed("prices", b"cursor"), Followed("wells")], 1_000))])
def tables_ask(data: bytes) -> None:
    """What a site asks is within bounds, or refused."""
    try:
        read = open_ask(data)
    except ProtocolError:
        return
    assert len(read.tables) <= limits.MAX_FOLLOWED_TABLES
    assert open_ask(pack_ask(read)) == read


def _pages() -> Pages:
    key, columns = [ColumnTold(["id"], "INTEGER")], [ColumnTold(["was", "price"], "REAL"), ColumnTold(["note"], "")]
    rows = [RowTold([1], {0: 1.5, 1: None}), RowTold([2], {1: b"\xff"})]
    page = Page("prices", b"cursor", fresh=True, merged=3, hlc=4, key=key, columns=columns, rows=rows, gone=[[9]])
    return Pages([page, Page("wells", refused="it is not declared down")])


@target(seeds=lambda: [wire.pack(_pages())])
def tables_pages(data: bytes) -> None:
    """What a hub that went wrong answers: keys and cells that fit their columns, or refused."""
    try:
        read = open_pages(b"FST\x01" + zstandard.ZstdCompressor(level=1).compress(data))
    except ProtocolError:
        return
    for page in read.pages:
        assert {len(row.key) for row in page.rows} | set(map(len, page.gone)) <= {len(page.key)}
        assert all(0 <= place < len(page.columns) for row in page.rows for place in row.cells)
    assert wire.pack(open_pages(pack_pages(read))) == wire.pack(read)


@target(seeds=lambda: [pack_pages(_pages())])
def tables_answer(data: bytes) -> None:
    """The same as it comes, compressed: its size is looked at before anything is inflated."""
    try:
        read = open_pages(data)
    except ProtocolError:
        return
    assert len(read.pages) <= limits.MAX_FOLLOWED_TABLES


def _cursors() -> Iterator[bytes]:
    yield cursor.pack(cursor.Cursor(_EPOCH.name, _SCOPE, 30, 2))
    yield cursor.pack(cursor.Cursor(_EPOCH.name, _SCOPE, _VERSION + 1, 0))
    yield msgspec.msgpack.encode([b"epoch-01", b"scope-01", -1, 1 << 63])


@target(seeds=_cursors, max_bytes=400)
def tables_cursor(data: bytes) -> None:
    """A cursor that somebody made up is one within the site's own rows, or begins anew."""
    read = cursor.resumed(data, _SCOPE, [_EPOCH], _VERSION)
    if read is not None:
        assert read.scope == _SCOPE
        assert 0 <= read.version <= _VERSION
        assert read.began >= 0


@target(
    seeds=lambda: [b"region = site.region and \"kind\" = 'retail' and n = -7", b"a = 'it and b = '"], max_bytes=1200
)
def tables_filter(data: bytes) -> None:
    """A filter is equalities, or a ValueError that says what is wrong."""
    text = data.decode(errors="replace")
    try:
        read = filters.parse(text)
    except ValueError as error:
        assert str(error)
        return
    read.scope("ship-1", {"region": "north"})
