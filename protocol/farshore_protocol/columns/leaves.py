"""Leaves: columns of integers, floats or texts without gaps. A leaf may lean on an earlier one of the same batch.

    SAME       leaf                               the values of an earlier leaf
    PREDICTED  leaf, n, hits, m, misses…          what stood here the last time that the earlier leaf held the same key

A prediction makes use of what depends on something else: the user agent on the address, the size on the path, the port
on the service. With a dictionary it starts from what the dictionary's records have shown. Any other first number is an
encoding of the kind itself. Encoder and decoder number leaves alike: in the order in which they end.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress, islice
from operator import eq
from typing import Any, Final, TypeAlias

from farshore_protocol.columns import planes
from farshore_protocol.columns.floats import decode_floats, encode_floats
from farshore_protocol.columns.history import History, Leaf
from farshore_protocol.columns.integers import encode_integers, read_small_integers
from farshore_protocol.columns.plan import Choice, Path
from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.symbols import decode_symbols, encode_symbols
from farshore_protocol.columns.trial import Candidate, encode_cheapest
from farshore_protocol.columns.values import Kind
from farshore_protocol.columns.vectors import Vector
from farshore_protocol.columns.writer import Writer

SAME, PREDICTED = 0, 1
_PLAIN: Final = -1

_KEY_KINDS: Final = (Kind.INT, Kind.STR)
_KEYS_TRIED: Final = 2
_LEANED_ON: Final = 256
"""So many first leaves are looked at for what a later one may lean on, so that many columns take no time squared."""

_MIN_PREDICTED: Final = 16
"""Shorter columns are not worth a prediction."""

_KEY_SAMPLE: Final = 256
_MAX_MISSED: Final = 0.9

_NOT_SEEN: Final = object()
_INVERTED: Final = b"\1\0" + bytes(254)

Encode: TypeAlias = Callable[[Writer, list[Any], Choice], None]
Decode: TypeAlias = Callable[[Reader, int, Path], Vector]

_PLAIN_CODECS: Final[dict[Kind, tuple[Encode, Decode]]] = {
    Kind.INT: (encode_integers, lambda reader, count, _: read_small_integers(reader, count)),
    Kind.FLOAT: (encode_floats, lambda reader, count, _: decode_floats(reader, count)),
}


def register_texts(encode: Encode, decode: Decode) -> None:
    """Texts split into leaves, so that each of the two modules needs the other; this one goes first."""
    _PLAIN_CODECS[Kind.STR] = encode, decode


def encode_leaf(out: Writer, kind: Kind, values: list[Any], choice: Choice) -> None:
    """Write one or more values of one kind."""
    if not choice.picked or not _attempt(out, kind, values, choice):
        _search(out, kind, values, choice)
    out.leaves.append(Leaf(kind, choice.path, values))


def _attempt(out: Writer, kind: Kind, values: list[Any], choice: Choice) -> bool:
    code = choice.picked[0]
    if code == SAME:
        return _try_same(out, kind, values, choice.picked[1])
    if code == PREDICTED:
        return _try_predicted(out, kind, values, choice)
    _encode_plain(out, kind, values, choice.inside("plain"))
    return True


def _search(out: Writer, kind: Kind, values: list[Any], choice: Choice) -> None:
    for at in range(min(len(out.leaves), _LEANED_ON)):
        if _try_same(out, kind, values, at):
            choice.picked = (SAME, at)
            return
    picks: list[tuple[int, ...]] = [(_PLAIN,)]
    if kind in _KEY_KINDS and len(values) >= _MIN_PREDICTED and not out.is_inside_prediction:
        picks += [(PREDICTED, at) for at in _best_keys(out, values[:_KEY_SAMPLE], len(values), choice.path)]
    candidates: list[Candidate] = [
        (pick, lambda trial, trial_choice: _attempt(trial, kind, values, trial_choice)) for pick in picks
    ]
    encode_cheapest(out, choice, candidates)


def _encode_plain(out: Writer, kind: Kind, values: list[Any], choice: Choice) -> None:
    _PLAIN_CODECS[kind][0](out, values, choice)


def _try_same(out: Writer, kind: Kind, values: list[Any], at: int) -> bool:
    if at >= len(out.leaves):
        return False
    leaf = out.leaves[at]
    if leaf.kind is not kind or len(leaf.values) != len(values) or not _equal(kind, leaf.values, values):
        return False
    out.uint(SAME)
    out.uint(at)
    return True


def _equal(kind: Kind, left: list[Any], right: list[Any]) -> bool:
    if kind is Kind.FLOAT:
        return left[0] == right[0] and planes.floats_to_bytes("d", left) == planes.floats_to_bytes("d", right)
    return left == right


def _try_predicted(out: Writer, kind: Kind, values: list[Any], choice: Choice) -> bool:
    at = choice.picked[1]
    if at >= len(out.leaves) or not _is_key(out.leaves[at], len(values)):
        return False
    key = out.leaves[at]
    hits, misses = _predict(key.values, values, _learnt(out.history, key.path, choice.path))
    out.uint(PREDICTED)
    out.uint(at)
    out.uint(len(hits))
    if hits:
        encode_symbols(out, bytes(hits))
    out.uint(len(misses))
    if misses:
        is_outermost = not out.is_inside_prediction
        out.is_inside_prediction = True
        _encode_plain(out, kind, misses, choice.inside("misses"))
        out.is_inside_prediction = not is_outermost
    return True


def _predict(keys: list[Any], values: list[Any], last: dict[Any, Any]) -> tuple[bytearray, list[Any]]:
    """For every key that was seen before whether its value is the same again, and the values that are not foretold."""
    if not last and keys.count(keys[0]) == len(keys):
        return _repeated(values)
    hits, misses = bytearray(), []
    for key, value in zip(keys, values, strict=True):
        guess = last.get(key, _NOT_SEEN)
        if guess is not _NOT_SEEN:
            hits.append(guess == value)
            if guess == value:
                continue
        last[key] = value
        misses.append(value)
    return hits, misses


def _repeated(values: list[Any]) -> tuple[bytearray, list[Any]]:
    """The same where all keys are one: is each value the one before it?"""
    hits = bytearray(map(eq, values, islice(values, 1, None)))
    return hits, [values[0], *compress(islice(values, 1, None), hits.translate(_INVERTED))]


def _learnt(history: History | None, key: Path, path: Path) -> dict[Any, Any]:
    """What the dictionary's records have shown."""
    if history is None:
        return {}
    keys, values = history.values(key), history.values(path)
    return dict(zip(keys, values, strict=True)) if len(keys) == len(values) else {}


def _is_key(leaf: Leaf, count: int) -> bool:
    return leaf.kind in _KEY_KINDS and len(leaf.values) == count


def _best_keys(out: Writer, sample: list[Any], count: int, path: Path) -> list[int]:
    """The earlier leaves that foretell most of the first values."""
    if sample.count(sample[0]) == len(sample):
        return []
    misses = []
    for at, leaf in enumerate(out.leaves[:_LEANED_ON]):
        if _is_key(leaf, count):
            _, missed = _predict(leaf.values[: len(sample)], sample, _learnt(out.history, leaf.path, path))
            misses.append((len(missed), at))
    return [at for missed, at in sorted(misses)[:_KEYS_TRIED] if missed < _MAX_MISSED * len(sample)]


def decode_leaf(reader: Reader, kind: Kind, count: int, path: Path) -> Vector:
    """Read `count` (at least one) values of one kind: texts as a list, numbers as a list or a vector."""
    code = reader.peek()
    if code == SAME:
        values = _read_same(reader, kind, count)
    elif code == PREDICTED:
        values = _read_predicted(reader, kind, count, path)
    else:
        values = _decode_plain(reader, kind, count, path)
    reader.leaves.append(Leaf(kind, path, values))
    return values


def _decode_plain(reader: Reader, kind: Kind, count: int, path: Path) -> Vector:
    return _PLAIN_CODECS[kind][1](reader, count, path)


def _read_same(reader: Reader, kind: Kind, count: int) -> Vector:
    reader.uint()
    leaf = _read_leaf(reader)
    if leaf.kind is not kind or len(leaf.values) != count:
        raise reader.fail("an earlier column of another kind or length is repeated")
    reader.charge_cells(count)
    if kind is Kind.STR:
        reader.charge_chars(sum(map(len, leaf.values)))
    return leaf.values


def _read_predicted(reader: Reader, kind: Kind, count: int, path: Path) -> list[Any]:
    reader.uint()
    key, plain = _read_leaf(reader), reader.vectors.plain
    if kind not in _KEY_KINDS or not _is_key(key, count):
        raise reader.fail("a prediction from a column of another kind or length")
    reader.charge_cells(count)
    hit_count = reader.bounded(count, "the number of predictions")
    hits = decode_symbols(reader, hit_count) if hit_count else b""
    miss_count = reader.bounded(count, "the number of misses")
    with reader.nested():
        misses = plain(_decode_plain(reader, kind, miss_count, path)) if miss_count else []
    values = _replay(reader, plain(key.values), hits, misses, _learnt(reader.history, key.path, path))
    if kind is Kind.STR:
        reader.charge_repeated(values)
    return values


def _replay(reader: Reader, keys: list[Any], hits: bytes, misses: list[Any], last: dict[Any, Any]) -> list[Any]:
    """The inverse of `_predict`."""
    values = []
    hit, miss = iter(hits), iter(misses)
    try:
        for key in keys:
            if key not in last or not next(hit):
                last[key] = next(miss)
            values.append(last[key])
    except StopIteration:
        raise reader.fail("a prediction ends before its column") from None
    return values


def _read_leaf(reader: Reader) -> Leaf:
    at = reader.uint()
    if at >= len(reader.leaves):
        raise reader.fail(f"column {at} is referred to before it is written")
    return reader.leaves[at]
