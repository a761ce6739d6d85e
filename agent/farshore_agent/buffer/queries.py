"""The buffer's SQL: every statement stands in `sql/queries.sql` under a name, with a line that says what it is for."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

_NAMED: Final = re.compile(r"^-- ([a-z_]+):.*$", re.MULTILINE)


@cache
def read_sql(name: str) -> str:
    """The text of a file in `sql/`."""
    # Not importlib.resources: it brings zipfile and tempfile, a megabyte for the daemon's whole life.
    return (Path(__file__).with_name("sql") / name).read_text(encoding="utf-8")


def parse(text: str) -> dict[str, str]:
    """The statements of a file by name. A statement starts with `-- name: description`.

    Raises:
        ValueError: two statements have the same name.
    """
    parts = _NAMED.split(text)
    named = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    if len(named) != len(parts) // 2:
        raise ValueError("two queries have the same name")
    return named


QUERIES: Final = parse(read_sql("queries.sql"))
