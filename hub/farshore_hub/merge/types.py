"""Which SQL type a column of a merged table has, and which values fit it. Pure.

A SQLite column may hold any value; its declared type says what it is meant for. Where that is a number, a text or
bytes, the merged table has that type; else the value stands in it as JSON text, exactly (`exact_json`).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Double, LargeBinary, Text
from sqlalchemy.types import TypeEngine

from farshore_hub.texts import exact_json


class Type(enum.StrEnum):
    """Of a column."""

    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    BYTES = "bytes"
    ANY = "any"


C_TEXT: Final = Text(collation="C").with_variant(Text(), "sqlite")
"""Texts that are compared byte by byte, as SQLite does: what is greater must not depend on the database's language."""

SQL: Final[dict[Type, TypeEngine[Any]]] = {
    Type.INTEGER: BigInteger(),
    Type.REAL: Double(),
    Type.TEXT: C_TEXT,
    Type.BYTES: LargeBinary(),
    Type.ANY: C_TEXT,
}
_HOLDS: Final = {
    Type.INTEGER: frozenset({int}),
    Type.REAL: frozenset({float}),
    Type.TEXT: frozenset({str}),
    Type.BYTES: frozenset({bytes}),
}
_NUL: Final = "\0"


def type_of(declared: str) -> Type:
    """The type for a column that SQLite knows by this declared type: https://www.sqlite.org/datatype3.html#determination_of_column_affinity.

    NUMERIC affinity is ANY: what is declared DATE or BOOLEAN holds texts as well as numbers.
    """
    name = declared.upper()
    if "INT" in name:
        return Type.INTEGER
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return Type.TEXT
    if "BLOB" in name:
        return Type.BYTES
    return Type.REAL if any(part in name for part in ("REAL", "FLOA", "DOUB")) else Type.ANY


def misfits(values: Sequence[Any], type_: Type) -> list[int]:
    """The places of values that a column of this type cannot hold; NULL fits everywhere."""
    if type_ is Type.ANY:
        return []
    allowed = _HOLDS[type_] | {type(None)}
    places = [] if set(map(type, values)) <= allowed else [
        place for place, value in enumerate(values) if type(value) not in allowed
    ]  # fmt: skip
    if type_ is Type.TEXT and any(value and _NUL in value for value in values if isinstance(value, str)):
        # PostgreSQL has no such texts; what one of the two cannot hold, neither does.
        places += [place for place, value in enumerate(values) if isinstance(value, str) and _NUL in value]
    return places


def stored(values: Sequence[Any], type_: Type) -> list[Any]:
    """Values as the database holds them."""
    if type_ is not Type.ANY:
        return list(values)
    return [None if value is None else exact_json.dumps(value).replace(_NUL, "\\u0000") for value in values]


def plain_value(value: Any, type_: Type) -> Any:  # noqa: ANN401 - any value
    """A value of the database as a site would say it."""
    if value is None:
        return None
    if type_ is Type.BYTES:
        return bytes(value)
    return exact_json.loads(value) if type_ is Type.ANY else value


def shown(value: Any, type_: Type) -> str | None:  # noqa: ANN401 - a value of any type
    """A value of the database as JSON text, for the conflict ledger; None for NULL."""
    if value is None or type_ is Type.ANY:
        return None if value is None else str(value)
    return exact_json.dumps(bytes(value) if type_ is Type.BYTES else value)
