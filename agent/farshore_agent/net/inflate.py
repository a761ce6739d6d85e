"""Compressed request bodies, inflated up to a bound and not a byte further: a small body may claim to be a huge one."""

from __future__ import annotations

import zlib
from typing import Final

import zstandard

from farshore_agent.net.messages import HttpError

ENCODINGS: Final = ("gzip", "zstd", "identity")

_GZIP: Final = 31
"""zlib's window bits for a gzip header and trailer."""

_MAX_MEMBERS: Final = 1000
_PIECE_BYTES: Final = 64 * 1024

_MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""What a zstd frame may make the decompressor allocate."""


def inflate(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """The content of a body that was sent with this Content-Encoding.

    Raises:
        HttpError: 415 for another encoding, 400 for damaged bytes, 413 for more than `max_bytes`.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        content = body
    elif name in {"gzip", "x-gzip"}:
        content = _gunzip(body, max_bytes + 1)
    elif name == "zstd":
        content = _unzstd(body, max_bytes + 1)
    else:
        raise HttpError(
            415,
            f"Content-Encoding {encoding[:40]!r} is not one of {', '.join(ENCODINGS)}",
            headers={"accept-encoding": ", ".join(ENCODINGS)},
        )
    if len(content) > max_bytes:
        raise HttpError(413, f"the body is larger than {max_bytes} bytes when inflated: send it in parts")
    return content


def _gunzip(body: bytes, at_most: int) -> bytes:
    """Up to `at_most` bytes of all members of a gzip file (RFC 1952)."""
    content, view, at = bytearray(), memoryview(body), 0
    member, members = zlib.decompressobj(_GZIP), 1
    while at < len(body) and len(content) < at_most:
        if member.eof:
            member, members = zlib.decompressobj(_GZIP), members + 1
            if members > _MAX_MEMBERS:
                raise HttpError(400, f"the gzip body has more than {_MAX_MEMBERS} members")
        # In pieces, because what follows a member is copied at its end.
        piece = view[at : at + _PIECE_BYTES]
        try:
            content += member.decompress(piece, at_most - len(content))
        except zlib.error as error:
            raise HttpError(400, f"the body is not gzip: {error}") from None
        at += len(piece) - len(member.unused_data)
    if not member.eof and len(content) < at_most:
        raise HttpError(400, "the gzip body ends too soon")
    return bytes(content)


def _unzstd(body: bytes, at_most: int) -> bytes:
    """Up to `at_most` bytes of one frame (RFC 8878)."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    try:
        # The reader keeps to the bound, but takes a cut-off frame for a whole one. With the other it is the reverse.
        with decompressor.stream_reader(body) as reader:
            content = reader.read(at_most)
        if len(content) < at_most:
            frame = decompressor.decompressobj()
            frame.decompress(body)
            if not frame.eof or frame.unused_data:
                raise HttpError(400, "the body is not one whole zstd frame")
    except zstandard.ZstdError as error:
        raise HttpError(400, f"the body is not zstd: {error}") from None
    return content
