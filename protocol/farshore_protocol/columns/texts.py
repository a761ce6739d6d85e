"""Columns of text.

Each encoding is one number in the structure, followed by its parameters:

    CONST    size, text                    all the same
    TABLE    size, known…, new…, indices   the different values; with a dictionary some are named by their number there
    SPLIT    delimiter, count, columns…    every value has the delimiter `count` times; a column per part
    DIGITS   integers                      decimal numbers without leading zeros
    PADDED   width, integers               decimal numbers of equal length
    TIME     style, integers               times (times.py)
    HEX      width, planes                 lower-case hexadecimal of equal length
    AFFIXED  sizes, text, column           a common prefix and suffix round another column
    LINES    size, text                    joined by line feeds
    SIZED    integers, text                lengths in bytes, then everything joined

Text is UTF-8 in which a lone surrogate is written like any other code point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate, repeat
from typing import Final

from farshore_protocol.columns import times
from farshore_protocol.columns.integers import decode_integers, encode_integers, read_integers, take
from farshore_protocol.columns.leaves import decode_leaf, encode_leaf, register_texts
from farshore_protocol.columns.limits import TEXT_CELLS
from farshore_protocol.columns.plan import Choice, Path
from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.trial import Candidate, encode_cheapest
from farshore_protocol.columns.values import Kind
from farshore_protocol.columns.writer import Writer

CONST, TABLE, SPLIT, DIGITS, PADDED, TIME, HEX, AFFIXED, LINES, SIZED = range(2, 12)

_DELIMITERS: Final = '" /:.,;-_|=?&@()[]'
_MAX_PARTS: Final = 64
_MAX_DIGITS: Final = 18
_SAMPLE: Final = 16


def encode_texts(out: Writer, values: list[str], choice: Choice) -> None:
    """Write one or more texts."""
    if not choice.picked or not _ATTEMPTS[choice.picked[0]](out, values, choice):
        _search(out, values, choice)


def _search(out: Writer, values: list[str], choice: Choice) -> None:
    for pick in _sure(values):
        choice.picked = pick
        if _ATTEMPTS[pick[0]](out, values, choice):
            return
    candidates: list[Candidate] = [(pick, _bind(pick[0], values)) for pick in _fitting(values)]
    encode_cheapest(out, choice, candidates)


def _sure(values: list[str]) -> Iterator[tuple[int, ...]]:
    """Encodings that are taken if they fit at all: hardly any other is smaller then, and none is so quick."""
    yield from ((CONST,), (TABLE,), (DIGITS,), (PADDED,))
    style = times.find_style(values[0])
    if style:
        yield (TIME, *style)


def _fitting(values: list[str]) -> Iterator[tuple[int, ...]]:
    """Encodings that a few of the values fit."""
    yield (LINES,)
    yield (SIZED,)
    sample = values[:: max(1, len(values) // _SAMPLE)]
    delimiter = _common_delimiter(sample)
    if delimiter:
        yield (SPLIT, *delimiter)
    if sample[0][-2:].isalnum():
        yield (HEX,)
    if sample[0][:1] == sample[-1][:1] or sample[0][-1:] == sample[-1][-1:]:
        yield (AFFIXED,)


def _common_delimiter(sample: list[str]) -> tuple[int, int] | None:
    if len(sample) < 2:
        return None
    for index, delimiter in enumerate(_DELIMITERS):
        count = sample[0].count(delimiter)
        if 0 < count < _MAX_PARTS and all(value.count(delimiter) == count for value in sample):
            return index, count
    return None


def _bind(code: int, values: list[str]) -> Callable[[Writer, Choice], bool]:
    return lambda out, choice: _ATTEMPTS[code](out, values, choice)


def _try_const(out: Writer, values: list[str], _choice: Choice) -> bool:
    if values.count(values[0]) != len(values):
        return False
    out.uint(CONST)
    write_text(out, values[0])
    return True


def _try_table(out: Writer, values: list[str], choice: Choice) -> bool:
    entries = dict.fromkeys(values)
    known = out.history.table(choice.path) if out.history else {}
    new = [entry for entry in entries if entry not in known] if known else list(entries)
    if 2 * len(new) > len(values):
        return False
    out.uint(TABLE)
    out.uint(len(entries))
    if known:
        encode_integers(out, [known.get(entry, 0) for entry in entries], choice.part("known"))
    if new:
        encode_texts(out, new, choice.part("new"))
    index = {entry: at for at, entry in enumerate(entries)}
    encode_integers(out, list(map(index.__getitem__, values)), choice.part("indices"))
    return True


def _try_split(out: Writer, values: list[str], choice: Choice) -> bool:
    _, index, count = choice.picked
    delimiter = _DELIMITERS[index]
    pieces = list(map(str.split, values, repeat(delimiter)))
    if set(map(len, pieces)) != {count + 1}:
        return False
    out.uint(SPLIT)
    out.uint(index)
    out.uint(count)
    for at, part in enumerate(zip(*pieces, strict=True)):
        encode_leaf(out, Kind.STR, list(part), choice.part((index, at)))
    return True


def _try_digits(out: Writer, values: list[str], choice: Choice) -> bool:
    if not _are_digits(values):
        return False
    numbers = list(map(int, values))
    if list(map(str, numbers)) != values:
        return False
    out.uint(DIGITS)
    encode_integers(out, numbers, choice.part("numbers"))
    return True


def _try_padded(out: Writer, values: list[str], choice: Choice) -> bool:
    width = len(values[0])
    if not _are_digits(values) or set(map(len, values)) != {width}:
        return False
    out.uint(PADDED)
    out.uint(width)
    encode_integers(out, list(map(int, values)), choice.part("numbers"))
    return True


def _are_digits(values: list[str]) -> bool:
    joined = "".join(values)
    return joined.isascii() and joined.isdigit() and max(map(len, values)) <= _MAX_DIGITS and all(values)


def _try_time(out: Writer, values: list[str], choice: Choice) -> bool:
    style = times.TimeStyle(*choice.picked[1:])
    parsed = times.parse(values, style)
    if parsed is None:
        return False
    out.uint(TIME)
    times.write_style(out, style)
    encode_integers(out, parsed, choice.part("times"))
    return True


def _try_hex(out: Writer, values: list[str], _choice: Choice) -> bool:
    width = len(values[0])
    if width % 2 or not width or set(map(len, values)) != {width}:
        return False
    joined = "".join(values)
    try:
        raw = bytes.fromhex(joined)
    except ValueError:
        return False
    if raw.hex() != joined:
        return False
    out.uint(HEX)
    out.uint(width)
    out.planes.append(raw)
    return True


def _try_affixed(out: Writer, values: list[str], choice: Choice) -> bool:
    prefix = _common_prefix(values)
    suffix = _common_prefix([value[len(prefix) :][::-1] for value in values])[::-1]
    if not prefix and not suffix:
        return False
    end = -len(suffix) or None
    out.uint(AFFIXED)
    write_text(out, prefix)
    write_text(out, suffix)
    encode_texts(out, [value[len(prefix) : end] for value in values], choice.part("inner"))
    return True


def _common_prefix(values: list[str]) -> str:
    low, high = min(values), max(values)
    size = next((at for at, (left, right) in enumerate(zip(low, high, strict=False)) if left != right), len(low))
    return low[:size]


def _try_lines(out: Writer, values: list[str], _choice: Choice) -> bool:
    joined = "\n".join(values)
    if joined.count("\n") != len(values) - 1:
        return False
    out.uint(LINES)
    write_text(out, joined)
    return True


def _try_sized(out: Writer, values: list[str], choice: Choice) -> bool:
    encoded = [_utf8(value) for value in values]
    out.uint(SIZED)
    encode_integers(out, list(map(len, encoded)), choice.part("sizes"))
    out.text += encoded
    return True


_ATTEMPTS: Final[dict[int, Callable[[Writer, list[str], Choice], bool]]] = {
    CONST: _try_const,
    TABLE: _try_table,
    SPLIT: _try_split,
    DIGITS: _try_digits,
    PADDED: _try_padded,
    TIME: _try_time,
    HEX: _try_hex,
    AFFIXED: _try_affixed,
    LINES: _try_lines,
    SIZED: _try_sized,
}


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def write_text(out: Writer, text: str) -> None:
    """Write one text with its size in bytes before it."""
    raw = _utf8(text)
    out.uint(len(raw))
    out.text.append(raw)


def decode_texts(reader: Reader, count: int, path: Path) -> list[str]:
    """Read `count` (at least one) texts of the column at `path`."""
    reader.charge_cells(TEXT_CELLS * count)
    with reader.nested():
        return reader.dispatch(_DECODERS, "text encoding")(reader, count, path)


def _read_const(reader: Reader, count: int, _path: Path) -> list[str]:
    text = read_text(reader)
    reader.charge_chars(len(text) * count)
    return [text] * count


def _read_table(reader: Reader, count: int, path: Path) -> list[str]:
    size = reader.bounded(count, "the size of a table") or 1
    known = reader.history.distinct(path) if reader.history else []
    numbers = decode_integers(reader, size) if known else [0] * size
    if min(numbers) < 0 or max(numbers) > len(known):
        raise reader.fail("a value is not in the dictionary")
    new_count = numbers.count(0)
    new = iter(decode_texts(reader, new_count, (*path, "new")) if new_count else ())
    entries = [known[number - 1] if number else next(new) for number in numbers]
    texts: list[str] = take(reader, entries, read_integers(reader, count))
    reader.charge_repeated(texts)
    return texts


def _read_split(reader: Reader, count: int, path: Path) -> list[str]:
    index = reader.bounded(len(_DELIMITERS) - 1, "a delimiter")
    parts = reader.bounded(_MAX_PARTS, "the number of delimiters") + 1
    columns = [decode_leaf(reader, Kind.STR, count, (*path, (index, at))) for at in range(parts)]
    reader.charge_chars(sum(sum(map(len, column)) for column in columns) + count * parts)
    return list(map(_DELIMITERS[index].join, zip(*columns, strict=True)))


def _read_digits(reader: Reader, count: int, _path: Path) -> list[str]:
    return list(map(str, decode_integers(reader, count)))


def _read_padded(reader: Reader, count: int, _path: Path) -> list[str]:
    width = reader.bounded(_MAX_DIGITS, "the width of a number")
    return [f"{number:0{width}d}" for number in decode_integers(reader, count)]


def _read_time(reader: Reader, count: int, _path: Path) -> list[str]:
    style = times.read_style(reader)
    return times.write(decode_integers(reader, count), style)


def _read_hex(reader: Reader, count: int, _path: Path) -> list[str]:
    width = reader.uint()
    if width % 2:
        raise reader.fail("hexadecimal of an odd length")
    reader.charge_chars(count * width)
    digits = reader.plane(count * width // 2).hex()
    return [digits[start : start + width] for start in range(0, count * width, width)] if width else [""] * count


def _read_affixed(reader: Reader, count: int, path: Path) -> list[str]:
    prefix, suffix = read_text(reader), read_text(reader)
    inner = decode_texts(reader, count, (*path, "inner"))
    reader.charge_chars(sum(map(len, inner)) + count * (len(prefix) + len(suffix)))
    return [prefix + text + suffix for text in inner]


def _read_lines(reader: Reader, count: int, _path: Path) -> list[str]:
    text = read_text(reader)
    found = text.count("\n") + 1
    if found != count:
        raise reader.fail(f"{found} lines in place of {count}")
    return text.split("\n")


def _read_sized(reader: Reader, count: int, _path: Path) -> list[str]:
    sizes = decode_integers(reader, count)
    return [chars.decode("utf-8", "surrogatepass") for chars in cut(reader, sizes)]


_DECODERS: Final[dict[int, Callable[[Reader, int, Path], list[str]]]] = {
    CONST: _read_const,
    TABLE: _read_table,
    SPLIT: _read_split,
    DIGITS: _read_digits,
    PADDED: _read_padded,
    TIME: _read_time,
    HEX: _read_hex,
    AFFIXED: _read_affixed,
    LINES: _read_lines,
    SIZED: _read_sized,
}


def read_text(reader: Reader) -> str:
    """Read the text that `write_text` wrote."""
    return reader.chars(reader.uint()).decode("utf-8", "surrogatepass")


def cut(reader: Reader, sizes: list[int]) -> list[bytes]:
    """The next pieces of the text, of the given sizes in bytes."""
    if min(sizes) < 0:
        raise reader.fail("a negative size")
    joined = reader.chars(sum(sizes))
    ends = list(accumulate(sizes))
    return [joined[end - size : end] for end, size in zip(ends, sizes, strict=True)]


register_texts(encode_texts, decode_texts)
