"""Which migrations a database has, and this program: without Alembic, which takes an eighth of a second to load."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from sqlalchemy import Engine, inspect, text

from farshore_hub.store.engine import reading

_VERSIONS: Final = "farshore_hub.store.migrations.versions"
_CURRENT: Final = text("SELECT version_num FROM alembic_version")


def current(engine: Engine) -> str | None:
    """The newest migration that the database has; None for an empty database."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.scalar(_CURRENT)
        return version


def newest() -> str:
    """The newest migration that this version knows. Its file is named after it: `0001_first_tables.py`."""
    numbers = (each.name.partition("_")[0] for each in files(_VERSIONS).iterdir())
    return max(number for number in numbers if number.isdecimal())
