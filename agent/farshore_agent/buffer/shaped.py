"""Records of one shape: the same keys, and plain values only. A struct each, which costs half as much as a mapping.

A shape is made for keys that come again and again. Whatever takes records takes both forms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Annotated, Any, ClassVar, Final, TypeAlias, cast

import msgspec

_Integer = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Scalar: TypeAlias = str | _Integer | float | bool | None


_UNFIT: Final = frozenset('"\\')


class Shaped(msgspec.Struct, gc=False):
    """A record of a shape that `make_shape` has made.

    Attributes:
        keys: the keys of the records, in their order.
    """

    keys: ClassVar[tuple[str, ...]] = ()


Record: TypeAlias = dict[str, Any] | Shaped


def are_shapable(keys: Iterable[str]) -> bool:
    """Whether there can be a shape for them: msgspec takes no quotes and control characters in names."""
    return all(key.isprintable() and not _UNFIT.intersection(key) for key in keys)


def make_shape(keys: tuple[str, ...]) -> type[Shaped]:
    """The type of records that have exactly these keys, and neither lists nor mappings in them."""
    names = _names(len(keys))
    shape = msgspec.defstruct(
        "Record",
        [(name, _Scalar) for name in names],
        bases=(Shaped,),
        namespace={"keys": keys},
        rename=dict(zip(names, keys, strict=True)),
        forbid_unknown_fields=True,
        gc=False,
    )
    return cast("type[Shaped]", shape)


def columns_of(records: Sequence[Shaped]) -> dict[str, list[Any]]:
    """The columns of records that are all of one shape."""
    keys = records[0].keys
    return {key: list(map(attrgetter(name), records)) for key, name in zip(keys, _names(len(keys)), strict=True)}


def columns_if_shaped(records: Sequence[Record]) -> dict[str, list[Any]] | None:
    """The columns of records, if they are all of one shape."""
    shape, *others = set(map(type, records))
    return columns_of(cast("Sequence[Shaped]", records)) if not others and issubclass(shape, Shaped) else None


def uniform_columns(records: Sequence[Record]) -> dict[str, list[Any]] | None:
    """The columns of records that all have the same keys; None where they have not, or have none."""
    return columns_if_shaped(records) or columns_of_mappings(mappings(records))


def columns_of_mappings(records: Sequence[dict[str, Any]]) -> dict[str, list[Any]] | None:
    """The columns of mappings that all have the same keys; None where they have not, or have none."""
    keys = records[0].keys()
    if not keys or set(map(len, records)) != {len(keys)}:
        return None
    try:
        return {key: list(map(itemgetter(key), records)) for key in keys}
    except KeyError:
        return None


def column_of(records: Sequence[Record], key: str) -> list[Any]:
    """One of the columns of records that are all of one shape, or all mappings.

    Raises:
        KeyError: a record does not have it.
    """
    first = records[0]
    if not isinstance(first, Shaped):
        return list(map(itemgetter(key), cast("Sequence[dict[str, Any]]", records)))
    if key not in first.keys:
        raise KeyError(key)
    return list(map(attrgetter(_names(len(first.keys))[first.keys.index(key)]), records))


def mappings(records: Iterable[Record]) -> list[dict[str, Any]]:
    """The same records, all as mappings."""
    return [_mapping(record) if isinstance(record, Shaped) else record for record in records]


def _mapping(record: Shaped) -> dict[str, Any]:
    return dict(zip(record.keys, msgspec.structs.astuple(record), strict=True))


@cache
def _names(count: int) -> tuple[str, ...]:
    """Names of attributes; a key may be any text."""
    return tuple(f"f{number}" for number in range(count))
