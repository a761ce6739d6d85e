"""Reads a file on from its mark and stores what it holds, with the new mark in the same transaction.

So no line is lost or doubled, wherever a crash comes.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from farshore_agent.buffer.model import Checkpoint
from farshore_agent.collect.csvrows import CsvFormat
from farshore_agent.collect.formats import (
    FileFormat,
    Format,
    Piece,
    State,
    UnusableFile,
    format_of,
    read_ndjson,
    read_piece,
    read_text,
)
from farshore_agent.collect.input import InputContext, append_patiently
from farshore_agent.collect.mark import Mark, Progress
from farshore_protocol.limits import KIB

PIECE_BYTES: Final = 64 * KIB
"""What is read, admitted and stored in one go."""


UNREADABLE_GZIP: Final = (EOFError, gzip.BadGzipFile, zlib.error)


def open_source(path: Path) -> BinaryIO:
    """A file to read from; `.gz` is inflated on the way, and offsets are those of the content."""
    return cast("BinaryIO", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


@dataclass(frozen=True, slots=True)
class Feed:
    """Reads files of one input.

    Attributes:
        stream: where the records go.
        key: of the checkpoint.
        format, delimiter: of the content.
    """

    context: InputContext
    stream: str
    key: str
    format: FileFormat
    delimiter: str = ","

    async def read_on(self, path: Path, mark: Mark, *, final: bool) -> Mark:
        """Store what stands after the mark, up to the last complete line; with `final` the whole rest.

        A mark that does not fit the file is the start of it. Waits while there is no room. Returns the new mark; when
        this raises, the stored checkpoint is further than `mark`.

        Raises:
            UnusableFile: the file as a whole is not what it should be.
            OSError: it is gone, or may not be read.
        """
        read = self._reader(path.name)
        try:
            with open_source(path) as file:
                return await self._read_open(file, mark if mark.fits(file) else Mark(), read, final=final)
        except UNREADABLE_GZIP as error:
            raise UnusableFile(f"not a whole gzip file: {error}") from None

    async def _read_open(self, file: BinaryIO, mark: Mark, read: Format, *, final: bool) -> Mark:
        progress = Progress(file, mark, os.fstat(file.fileno()).st_ino)
        file.seek(mark.offset)
        policy = self.context.policies.admitting(self.stream)
        state, rest, at_end = State(mark.line, mark.header, mark.skipping), b"", False
        while not at_end:
            more = file.read(PIECE_BYTES)
            at_end = len(more) < PIECE_BYTES
            data = rest + more
            while data:
                piece = read_piece(read, data, state, policy, self.context.clock.now_us(), final=final and at_end)
                if not piece.consumed:
                    break
                await self._store(piece, progress, data[: piece.consumed])
                state, data = piece.state, data[piece.consumed :]
            rest = data
        return progress.mark

    async def _store(self, piece: Piece, progress: Progress, content: bytes) -> None:
        state = piece.state
        mark = progress.advance(content, line=state.line, header=state.header, skipping=state.skipping)
        if piece.admitted.records or piece.admitted.refused:
            checkpoint = Checkpoint(self.key, mark.pack())
            await append_patiently(self.context, self.stream, piece.admitted, checkpoint)

    def _reader(self, name: str) -> Format:
        readers: dict[FileFormat, Callable[[], Format]] = {
            FileFormat.CSV: lambda: CsvFormat(self.delimiter),
            FileFormat.NDJSON: lambda: read_ndjson,
            FileFormat.TEXT: lambda: read_text,
        }
        return readers[format_of(name, self.format)]()
