"""The little SQL that the modules of this room share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw


def quoted(identifier: str) -> str:
    """An identifier for SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def rows(connection: apsw.Connection, query: str, values: Sequence[Any] = ()) -> list[Any]:
    """All rows of a query, as tuples."""
    return connection.execute(query, tuple(values)).fetchall()


def row(connection: apsw.Connection, query: str, values: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - a row of any kind
    """The first row, or None."""
    return connection.execute(query, tuple(values)).fetchone()
