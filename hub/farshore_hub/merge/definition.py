"""A table that the hub itself defines, said as a site would announce its schema. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from farshore_hub.merge.types import Type
from farshore_protocol.changes import Op

MAX_COLUMN_CHARS: Final = 63
"""PostgreSQL cuts longer names."""

_DECLARED: Final = {Type.BYTES: "BLOB"}
_FINGERPRINT_DIGITS: Final = 32


class BadDefinition(ValueError):
    """There can be no such table; the text says why."""


def announced(key: Mapping[str, Type], cells: Mapping[str, Type]) -> dict[str, Any]:
    """What a site would say that has a table of this key and these further columns.

    Raises:
        BadDefinition: a name cannot be that of a column, or there is no key.
    """
    if not key:
        raise BadDefinition("a table needs a key: the columns that tell one row from another")
    _check_names([*key, *cells])
    types = (*key.items(), *cells.items())
    columns = [{"name": name, "type": _DECLARED.get(type_, type_.value.upper())} for name, type_ in types]
    said = {"key_columns": [*key], "columns": columns}
    fingerprint = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_FINGERPRINT_DIGITS]
    return {"op": Op.SCHEMA.value, "schema": fingerprint, **said}


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not name.strip() or len(name) > MAX_COLUMN_CHARS or not name.isprintable():
            shown = f"{name[:MAX_COLUMN_CHARS]!r} is no name of a column"
            raise BadDefinition(f"{shown}: 1 to {MAX_COLUMN_CHARS} printable characters")
    if len({name.lower() for name in names}) < len(names):
        raise BadDefinition("two columns have one name; SQL tells capitals and small letters not apart")
