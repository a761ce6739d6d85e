"""From the byte streams of a batch to its body and back: general compression, bounded both ways.

A section is stored as it is, as a zstd frame without its magic number, as one whose history is the dictionary, or as
raw LZMA1; whichever is smallest. Structure and text make the first section and the planes the second, or one joins all.
"""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import zstandard

from farshore_protocol.columns.limits import MAX_ZSTD_WINDOW_LOG, DecodeError
from farshore_protocol.columns.plan import Effort, Packing

RAW, ZSTD, ZSTD_DICTIONARY, LZMA_TEXT, LZMA_PLANES = range(5)

_LITERAL_CONTEXT_BITS: Final = {LZMA_TEXT: 3, LZMA_PLANES: 0}
_MIN_LZMA_WINDOW: Final = 4096
_MAX_END_BYTES: Final = 7

_CODEC_MASK: Final = 0x07
_SECOND_SHIFT: Final = 3
_JOINED: Final = 0x40
_KNOWN_LAYOUT: Final = 0x7F
_MAX_VARINT_BYTES: Final = 9

_ZSTD_LEVEL: Final = {Effort.FAST: 3, Effort.BALANCED: 9, Effort.SMALL: 19}
_LZMA_PRESET: Final = {Effort.BALANCED: 4, Effort.SMALL: 6}
_LZMA_SEARCH: Final[dict[Effort, dict[str, Any]]] = {
    Effort.BALANCED: {"mf": lzma.MF_HC4, "depth": 4, "nice_len": 8},
    Effort.SMALL: {"mf": lzma.MF_HC4, "depth": 4, "nice_len": 32},
}
"""Byte planes gain by adaptive coding and hold few long matches: a harder search saves 0.5 % in twice the time."""

_CODECS: Final = {
    Effort.FAST: (ZSTD, ZSTD_DICTIONARY),
    Effort.BALANCED: (ZSTD_DICTIONARY, LZMA_TEXT, LZMA_PLANES),
    Effort.SMALL: (ZSTD, ZSTD_DICTIONARY, LZMA_TEXT, LZMA_PLANES),
}


class Sections(NamedTuple):
    """The byte streams of a batch."""

    structure: bytes
    text: bytes
    planes: bytes


def pack(sections: Sections, effort: Effort, prefix: bytes, packing: Packing | None) -> tuple[bytes, Packing]:
    """The layout byte and the compressed sections, in the given packing or else the smallest, and the packing.

    `prefix` is the history that zstd may refer back to, empty without a dictionary.
    """
    words = varint(len(sections.structure)) + sections.structure + sections.text
    if packing is None:
        codecs = _codecs(effort, prefix)
        tries = [_pack_joined(words, sections.planes, codecs, effort, prefix)]
        if effort is not Effort.FAST:
            tries.append(_pack_separate(words, sections.planes, codecs, codecs, effort, prefix))
        return min(tries, key=lambda tried: len(tried[0]))
    if packing.second is None:
        return _pack_joined(words, sections.planes, (packing.first,), effort, prefix)
    return _pack_separate(words, sections.planes, (packing.first,), (packing.second,), effort, prefix)


def _codecs(effort: Effort, prefix: bytes) -> list[int]:
    return [codec for codec in _CODECS[effort] if prefix or codec != ZSTD_DICTIONARY]


def _pack_joined(
    words: bytes, planes: bytes, codecs: Iterable[int], effort: Effort, prefix: bytes
) -> tuple[bytes, Packing]:
    codec, section = _smallest(varint(len(words)) + words + planes, codecs, effort, prefix)
    return bytes((codec | _JOINED,)) + section, Packing(codec, None)


def _pack_separate(
    words: bytes, planes: bytes, first: Iterable[int], second: Iterable[int], effort: Effort, prefix: bytes
) -> tuple[bytes, Packing]:
    codec, section = _smallest(words, first, effort, prefix)
    other_codec, other_section = _smallest(planes, second, effort, prefix)
    return bytes((codec | other_codec << _SECOND_SHIFT,)) + section + other_section, Packing(codec, other_codec)


def _smallest(raw: bytes, codecs: Iterable[int], effort: Effort, prefix: bytes) -> tuple[int, bytes]:
    """The codec that makes `raw` smallest, and the section: two lengths and the compressed bytes."""
    best, packed = RAW, raw
    for codec in codecs:
        tried = _compress(codec, raw, effort, prefix)
        if len(tried) < len(packed):
            best, packed = codec, tried
    return best, varint(len(raw)) + varint(len(packed)) + packed


def _compress(codec: int, raw: bytes, effort: Effort, prefix: bytes) -> bytes:
    if codec == RAW:
        return raw
    if codec in _LITERAL_CONTEXT_BITS:
        search = _LZMA_SEARCH.get(effort, {}) if codec == LZMA_PLANES else {}
        filters = _lzma_filters(codec, len(raw), _LZMA_PRESET.get(effort, 1), **search)
        return _without_end(lzma.compress(raw, lzma.FORMAT_RAW, filters=filters), raw, filters)
    history = prefix if codec == ZSTD_DICTIONARY else b""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _ZSTD_LEVEL[effort],
        source_size=max(1, len(raw)),
        dict_size=len(history),
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    dictionary = zstandard.ZstdCompressionDict(history, zstandard.DICT_TYPE_RAWCONTENT) if history else None
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(raw)


def _without_end(packed: bytes, raw: bytes, filters: list[dict[str, Any]]) -> bytes:
    """The LZMA stream without its end marker, which nobody needs who knows the size; it takes 5 to 7 bytes."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    end = max(0, len(packed) - _MAX_END_BYTES)
    out = decompressor.decompress(packed[:end], max_length=len(raw))
    while len(out) < len(raw) and end < len(packed):
        out += decompressor.decompress(packed[end : end + 1], max_length=len(raw) - len(out))
        end += 1
    return packed[:end] if out == raw else packed


def _lzma_filters(codec: int, size: int, preset: int, **search: int) -> list[dict[str, Any]]:
    """The LZMA1 parameters. They follow from codec and size; preset and search are the encoder's own affair."""
    return [
        {
            "id": lzma.FILTER_LZMA1,
            "preset": preset,
            "dict_size": max(_MIN_LZMA_WINDOW, size),
            "lc": _LITERAL_CONTEXT_BITS[codec],
            "lp": 0,
            "pb": 0,
            **search,
        }
    ]


def unpack(layout: int, body: memoryview, max_bytes: int, prefix: bytes) -> Sections:
    """The byte streams from the layout byte and the sections after it.

    Raises:
        DecodeError: the sections are damaged, or inflate to more than `max_bytes`.
    """
    if layout & ~_KNOWN_LAYOUT:
        raise DecodeError(f"unknown layout {layout:#04x}")
    first, body = _open(layout & _CODEC_MASK, body, max_bytes, prefix)
    if layout & _JOINED:
        words, planes = _cut_sized(first)
    else:
        words = first
        planes, body = _open(layout >> _SECOND_SHIFT & _CODEC_MASK, body, max_bytes - len(first), prefix)
    if body:
        raise DecodeError(f"{len(body)} bytes after the last section")
    structure, text = _cut_sized(words)
    return Sections(structure, text, planes)


def _open(codec: int, body: memoryview, max_bytes: int, prefix: bytes) -> tuple[bytes, memoryview]:
    """The section at the front of `body`, inflated, and what follows it."""
    size, body = read_varint(body)
    packed_size, body = read_varint(body)
    if size > max_bytes:
        raise DecodeError(f"a section inflates to {size} bytes, {max_bytes} are allowed")
    if packed_size > len(body):
        raise DecodeError(f"a section of {packed_size} bytes is cut off after {len(body)}")
    raw = _decompress(codec, bytes(body[:packed_size]), size, prefix)
    if len(raw) != size:
        raise DecodeError(f"a section does not inflate to the {size} bytes that it says")
    return raw, body[packed_size:]


def _decompress(codec: int, packed: bytes, size: int, prefix: bytes) -> bytes:
    """At most one byte more than `size`, which shows that there is too much."""
    if codec == RAW:
        return packed
    try:
        if codec in _LITERAL_CONTEXT_BITS:
            filters = _lzma_filters(codec, size, 0)
            return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(packed, max_length=size + 1)
        if codec in (ZSTD, ZSTD_DICTIONARY):
            return _decompress_zstd(packed, size, prefix if codec == ZSTD_DICTIONARY else b"")
    except (lzma.LZMAError, zstandard.ZstdError) as error:
        raise DecodeError(f"a section cannot be inflated: {error}") from None
    raise DecodeError(f"unknown section codec {codec}")


def _decompress_zstd(packed: bytes, size: int, history: bytes) -> bytes:
    dictionary = zstandard.ZstdCompressionDict(history, zstandard.DICT_TYPE_RAWCONTENT) if history else None
    decompressor = zstandard.ZstdDecompressor(
        dict_data=dictionary, max_window_size=1 << MAX_ZSTD_WINDOW_LOG, format=zstandard.FORMAT_ZSTD1_MAGICLESS
    )
    with decompressor.stream_reader(io.BytesIO(packed)) as reader:
        return reader.read(size + 1)


def _cut_sized(raw: bytes) -> tuple[bytes, bytes]:
    """What a size before it says, and the rest."""
    size, rest = read_varint(memoryview(raw))
    if size > len(rest):
        raise DecodeError(f"{size} bytes are announced and {len(rest)} are there")
    return bytes(rest[:size]), bytes(rest[size:])


def varint(value: int) -> bytes:
    """A number from 0 as a little-endian base-128 varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(body: memoryview) -> tuple[int, memoryview]:
    """The number at the front, and what follows it."""
    value = 0
    for index, byte in enumerate(body[:_MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, body[index + 1 :]
    raise DecodeError("a length is cut off or longer than 9 bytes")
