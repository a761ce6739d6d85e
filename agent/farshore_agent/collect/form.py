"""What a record may be made of, whichever door it comes through; says which field is at fault.

Pure. A record that passes can be stored, sealed and read back exactly: text is valid Unicode, numbers are finite and
not absurdly long, nesting is bounded. Nothing here recurses deeper than that bound, whatever it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from itertools import chain
from math import isfinite
from typing import Any, Final

from farshore_protocol.limits import MAX_INTEGER_BITS, MAX_RECORD_DEPTH, MAX_RECORD_FIELDS

SHORT_BYTES: Final = 300
"""JSON text so short holds no integer of more than 1024 bits: that takes 309 digits."""

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_LARGEST: Final = 1 << MAX_INTEGER_BITS
_PATH_PARTS: Final = 8
Path = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""


class NotAdmitted(Exception):
    """Why a record is refused, and the field that is at fault, where one is."""

    def __init__(self, why: str, field: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.field = field


def are_sound(records: Collection[dict[str, Any]], *, longest_bytes: int) -> bool:
    """Whether records that a JSON decoder made may be stored as they are; told for many at once.

    The decoder has seen to text, keys and finite numbers. `longest_bytes` is the longest text of one record.
    """
    if not _have_fields(records):
        return False
    values = list(chain.from_iterable(map(dict.values, records)))
    for _ in range(MAX_RECORD_DEPTH):
        kinds = set(map(type, values))
        if longest_bytes > SHORT_BYTES and _any_long(_only(int, values, kinds)):
            return False
        if kinds <= _SCALARS:
            return True
        inside = [value for value in values if value.__class__ is dict or value.__class__ is list]
        values = [item for value in inside for item in (value.values() if value.__class__ is dict else value)]
    return False


def are_plain(records: Collection[dict[str, Any]], columns: Mapping[str, list[Any]] | None) -> bool:
    """Whether records that Python code made are flat, of the usual types, with finite numbers; told for many at once.

    `columns` are theirs, if they all have the same keys. Says nothing about invalid text.
    """
    if not _have_fields(records):
        return False
    parts = columns.values() if columns else [list(chain.from_iterable(map(dict.values, records)))]
    return all(map(_are_scalars, parts))


def _are_scalars(values: list[Any]) -> bool:
    kinds = set(map(type, values))
    if not kinds <= _SCALARS:
        return False
    integers, floats = (_only(kind, values, kinds) for kind in (int, float))
    return not _any_long(integers) and all(map(isfinite, floats))


def _only(kind: type, values: list[Any], kinds: set[type]) -> list[Any]:
    if kind not in kinds:
        return []
    return values if len(kinds) == 1 else [value for value in values if value.__class__ is kind]


def _have_fields(records: Collection[dict[str, Any]]) -> bool:
    return bool(records) and min(map(len, records)) > 0 and max(map(len, records)) <= MAX_RECORD_FIELDS


def _any_long(integers: list[int]) -> bool:
    return bool(integers) and (max(integers) >= _LARGEST or min(integers) <= -_LARGEST)


def check_record(record: object) -> dict[str, Any]:
    """The record in the types that can be stored: times of type datetime become ISO text, subclasses their base.

    Raises:
        NotAdmitted: with the field as a path such as `pump.limits[2]`.
    """
    if not isinstance(record, dict):
        raise NotAdmitted(f"a record is an object, not {_kind(record)}")
    if not record:
        raise NotAdmitted("the record is empty")
    if len(record) > MAX_RECORD_FIELDS:
        raise NotAdmitted(f"the record has {len(record)} fields, at most {MAX_RECORD_FIELDS} are allowed")
    return _mapping(record, ())


def _value(value: object, path: Path) -> object:
    check = _CHECKS.get(type(value)) or next((_CHECKS[base] for base in _BASES if isinstance(value, base)), None)
    if check is None:
        raise NotAdmitted(f"a {type(value).__name__} cannot be stored: make it text, a number or a list", _shown(path))
    return check(value, path)


def _same(value: object, _path: Path) -> object:
    return value


def _text(value: str, path: Path) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotAdmitted("the text holds half a surrogate pair, which is no character", _shown(path)) from None
    return str(value)


def _integer(value: int, path: Path) -> int:
    if not -_LARGEST < value < _LARGEST:
        raise NotAdmitted(f"an integer of more than {MAX_INTEGER_BITS} bits", _shown(path))
    return int(value)


def _float(value: float, path: Path) -> float:
    if not isfinite(value):
        raise NotAdmitted(f"{value} is not a finite number: leave the field out, or use null", _shown(path))
    return float(value)


def _time(value: datetime, path: Path) -> str:
    try:
        aware = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        raise NotAdmitted("the time cannot be given in UTC", _shown(path)) from None
    return aware.isoformat().replace("+00:00", "Z")


def _list(value: list[object], path: Path) -> list[object]:
    _check_depth(path)
    return [_value(item, (*path, index)) for index, item in enumerate(value)]


def _mapping(value: dict[object, object], path: Path) -> dict[str, Any]:
    _check_depth(path)
    checked = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise NotAdmitted(f"a field's name is text, not {_kind(key)}", _shown(path))
        checked[_text(key, path)] = _value(item, (*path, key))
    return checked


def _check_depth(path: Path) -> None:
    if len(path) >= MAX_RECORD_DEPTH:
        raise NotAdmitted(f"nested deeper than {MAX_RECORD_DEPTH} levels", _shown(path))


_CHECKS: Final[dict[type, Callable[[Any, Path], object]]] = {
    str: _text,
    bool: _same,
    type(None): _same,
    bytes: _same,
    int: _integer,
    float: _float,
    list: _list,
    dict: _mapping,
    datetime: _time,
}
_BASES: Final = (str, int, float, dict, list, datetime)
"""Whose subclasses are taken as what they are based on, such as the enumerations and NumPy's float64."""


def _shown(path: Path) -> str | None:
    if not path:
        return None
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[:_PATH_PARTS]]
    return "".join(parts)[1:200].encode(errors="backslashreplace").decode()


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", list: "a list", dict: "an object", str: "text"}
    return names.get(type(value)) or ("a number" if isinstance(value, int | float) else f"a {type(value).__name__}")
