"""How rows of merged tables come down to the sites that follow them: what a site asks, and the pages that it gets.

ask   = "FSQ" version(1 byte) MessagePack(Ask)
pages = "FST" version(1 byte) zstd(MessagePack(Pages))

Both go over the site's own TLS connection only, so neither is signed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
import zstandard
from msgspec import Meta, Struct

from farshore_protocol import wire
from farshore_protocol.envelope import body_of
from farshore_protocol.errors import Malformed, OverLimit
from farshore_protocol.limits import (
    MAX_ASK_BYTES,
    MAX_CURSOR_BYTES,
    MAX_FOLLOWED_TABLES,
    MAX_PAGE_ROWS,
    MAX_PAGES_BYTES,
    MAX_PAGES_PACKED_BYTES,
    MAX_TABLE_COLUMNS,
)
from farshore_protocol.messages import Count, Name, Text

VERSION: Final = 1
ASK_TYPE: Final = "application/vnd.farshore.ask"
PAGES_TYPE: Final = "application/vnd.farshore.pages"

_ASK_MAGIC: Final = b"FSQ"
_PAGES_MAGIC: Final = b"FST"
_LEVEL: Final = 3

NEVER_TELLS: Final = 2**62
"""Later than any stamp."""

Cell = Any
"""An int of 64 bits, a float, a text, bytes or None; `open_pages` looks that it is."""

ColumnName = Annotated[str, Meta(max_length=1000)]
Key = Annotated[list[Cell], Meta(max_length=MAX_TABLE_COLUMNS)]
Cursor = Annotated[bytes, Meta(max_length=MAX_CURSOR_BYTES)]


class Followed(Struct, frozen=True, array_like=True):
    """One table that a site follows, and where it has come to.

    Attributes:
        name: of the table.
        cursor: empty at the beginning.
        is_whole: every row that the pages up to the cursor took from the site is gone from its table, and every change
            that it had captured before is counted in `number`.
        number: of the last change that the site has captured; 0 for none.
        hlc: what it captures from now on is later. `NEVER_TELLS` where it captures nothing.
    """

    name: Name
    cursor: Cursor = b""
    is_whole: bool = False
    number: Count = 0
    hlc: Count = 0


class Ask(Struct, frozen=True, array_like=True):
    """What a site asks.

    Attributes:
        tables: in the order in which it wants them; those that others refer to come first.
        wait_ms: how long the hub may wait with its answer while there is nothing new.
    """

    tables: Annotated[list[Followed], Meta(max_length=MAX_FOLLOWED_TABLES)]
    wait_ms: Annotated[int, Meta(ge=0, le=120_000)] = 0


class ColumnTold(Struct, frozen=True, array_like=True):
    """A column of a merged table: all names that it ever had, the present one last, and its type there."""

    names: Annotated[list[ColumnName], Meta(min_length=1, max_length=1000)]
    type: Text


class RowTold(Struct, frozen=True, array_like=True):
    """A row as it is now. `cells` are by the place of their column; one that no site ever wrote is not among them."""

    key: Key
    cells: Annotated[dict[int, Cell], Meta(max_length=MAX_TABLE_COLUMNS)]


class Page(Struct, frozen=True, array_like=True):
    """Some of what has changed in one table since the site's cursor, as far as the site may see it.

    Attributes:
        name: of the table.
        cursor: for the next ask, once this page is kept. What is in it only the hub knows.
        fresh: the reading begins here: the hub does not know the site's cursor, or the site may see other rows than
            before. What is not told from here to the first page without `more` is not the site's any more.
        more: there is more at once.
        merged: with the rows up to here the site has everything that its own changes up to this number have come to;
            0 while there is more.
        hlc: the latest stamp of a cell in this page; whatever the site changes from now on is later.
        key, columns: of the merged table.
        rows: as they are now.
        gone: keys of rows that were deleted, or are not the site's any more.
        left_out: rows that are too large for a page.
        refused: why the site cannot follow this table, if it cannot; there is nothing else then.
    """

    name: Name
    cursor: Cursor = b""
    fresh: bool = False
    more: bool = False
    merged: Count = 0
    hlc: Count = 0
    key: Annotated[list[ColumnTold], Meta(max_length=MAX_TABLE_COLUMNS)] = []
    columns: Annotated[list[ColumnTold], Meta(max_length=MAX_TABLE_COLUMNS)] = []
    rows: Annotated[list[RowTold], Meta(max_length=MAX_PAGE_ROWS)] = []
    gone: Annotated[list[Key], Meta(max_length=MAX_PAGE_ROWS)] = []
    left_out: Count = 0
    refused: Text = ""


class Pages(Struct, frozen=True, array_like=True):
    """The hub's answer: a page of each table, in their order. Tables at the end may be missing when it is full."""

    pages: Annotated[list[Page], Meta(max_length=MAX_FOLLOWED_TABLES)]


_ASK: Final = wire.decoder_of(Ask)
_PAGES: Final = wire.decoder_of(Pages)


def pack_ask(ask: Ask) -> bytes:
    """A site's question."""
    return _ASK_MAGIC + bytes((VERSION,)) + wire.pack(ask)


def open_ask(raw: bytes) -> Ask:
    """Read a site's question.

    Raises:
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    body = body_of(raw, _ASK_MAGIC, VERSION, what="question for tables", max_bytes=MAX_ASK_BYTES)
    return wire.unpack(_ASK, body, what="question for tables", max_bytes=MAX_ASK_BYTES)


def size_of(part: RowTold | Key) -> int:
    """How many bytes it takes in a page before it is compressed."""
    return len(msgspec.msgpack.encode(part))


def pack_pages(pages: Pages) -> bytes:
    """The hub's answer.

    Raises:
        OverLimit: more than one answer may hold; whoever makes pages looks to it that it never is.
    """
    packed = wire.pack(pages)
    if len(packed) > MAX_PAGES_BYTES:
        raise OverLimit(f"pages have {len(packed)} bytes, the bound is {MAX_PAGES_BYTES}")
    return _PAGES_MAGIC + bytes((VERSION,)) + zstandard.ZstdCompressor(level=_LEVEL).compress(packed)


def open_pages(raw: bytes) -> Pages:
    """Read the hub's answer.

    Raises:
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    body = body_of(raw, _PAGES_MAGIC, VERSION, what="page of tables", max_bytes=MAX_PAGES_PACKED_BYTES)
    try:
        # The frame says its size, which is looked at before anything is allocated for it.
        size = zstandard.frame_content_size(body)
        if not 0 <= size <= MAX_PAGES_BYTES:
            raise OverLimit(f"pages claim to have {size} bytes, the bound is {MAX_PAGES_BYTES}")
        packed = zstandard.ZstdDecompressor(max_window_size=MAX_PAGES_BYTES).decompress(body)
    except zstandard.ZstdError as error:
        raise Malformed(f"page of tables: {error}") from None
    pages = wire.unpack(_PAGES, packed, what="page of tables", max_bytes=MAX_PAGES_BYTES)
    for page in pages.pages:
        _check(page)
    return pages


def _check(page: Page) -> None:
    keys, rows = {len(page.key)}, page.rows
    if not {len(row.key) for row in rows} | {len(key) for key in page.gone} <= keys:
        raise Malformed(f"page of {page.name}: a key does not have {len(page.key)} columns")
    if any(not 0 <= place < len(page.columns) for row in rows for place in row.cells):
        raise Malformed(f"page of {page.name}: a cell has no column")
    values = (each for row in rows for each in (*row.key, *row.cells.values()))
    if not all(map(_is_cell, (*values, *(each for key in page.gone for each in key)))):
        raise Malformed(f"page of {page.name}: a value is none that a table holds")


def _is_cell(value: Cell) -> bool:
    if value.__class__ is int:
        return bool(-(2**63) <= value < 2**63)
    return value is None or value.__class__ in (str, bytes, float)
