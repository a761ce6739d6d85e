"""The SQL view of a stream: its fields as columns, whatever types their values had.

Numbers of both kinds are one double column; values of other mixtures are text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from farshore_hub.lake.naming import SYSTEM_COLUMNS, ColumnMap, ColumnType, LakeColumn

_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]*")
_NUMBERS: Final = frozenset({ColumnType.BIGINT, ColumnType.DOUBLE})


def view_columns(names: ColumnMap) -> dict[str, str]:
    """Name and SQL expression of each column of a stream's view."""
    fields: dict[str, list[LakeColumn]] = {}
    for each in names:
        fields.setdefault(each.field, []).append(each)
    view = {name: quoted(name) for name in SYSTEM_COLUMNS}
    taken = {name.casefold() for name in view}
    for field, columns in sorted(fields.items(), key=_plain_first):
        label = field if field.casefold() not in taken else columns[0].column
        taken.add(label.casefold())
        view[label] = _expression(columns)
    return view


def select_sql(source: str, view: dict[str, str]) -> str:
    """The SELECT that is a stream's view over `source`."""
    return f"SELECT {', '.join(f'{sql} AS {quoted(name)}' for name, sql in view.items())} FROM {source}"  # noqa: S608


def quoted(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def is_identifier(stream: str) -> bool:
    """Whether a stream's name is an SQL identifier as it stands."""
    return _IDENTIFIER.fullmatch(stream) is not None


def named_in(sql: str, streams: Sequence[str]) -> list[str]:
    """The streams whose names occur; one that only occurs in a text is opened needlessly, that is all."""
    text = sql.lower()
    return [each for each in streams if re.search(rf"(?<![a-z0-9_-]){re.escape(each)}(?![a-z0-9_-])", text)]


def raw_rows(stream: str) -> str:
    """Under which name DuckDB knows a stream's rows with the tables' own columns."""
    return f"rows of {stream}"


def _plain_first(item: tuple[str, list[LakeColumn]]) -> tuple[bool, str]:
    """A field whose column bears its name keeps it in the view, when another one's differs by case alone."""
    field, columns = item
    return columns[0].column.partition(":")[0] != field, field


def _expression(columns: list[LakeColumn]) -> str:
    if len(columns) == 1:
        return quoted(columns[0].column)
    common = "DOUBLE" if {each.type for each in columns} <= _NUMBERS else "VARCHAR"
    return f"coalesce({', '.join(f'CAST({quoted(each.column)} AS {common})' for each in columns)})"
