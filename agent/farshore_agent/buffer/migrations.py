"""The versions of the file's schema, and how an older file becomes a newer one.

Version N is what the first N steps make. A step is never changed once it was released; a new one is appended.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import apsw

from farshore_agent.buffer.connection import Database, Malformed, translated
from farshore_agent.buffer.queries import read_sql
from farshore_agent.errors import BufferBroken

STEPS: Final = ("schema.sql", "hours.sql", "proven.sql")
IMPLAUSIBLE_VERSION: Final = 1_000


def migrate(database: Database) -> None:
    """Bring the schema to the newest version, in one transaction.

    Raises:
        BufferBroken: a newer agent made the file.
        Malformed: no agent made it.
    """
    with translated():
        version = int(database.connection.pragma("user_version"))
    if not 0 <= version < IMPLAUSIBLE_VERSION:
        raise Malformed(f"schema version {version}")
    if version > len(STEPS):
        raise BufferBroken(
            f"the buffer's file has schema {version}, this agent knows {len(STEPS)}",
            remedy="run the newer version of the agent, or move the file away once it is empty",
        )
    if version == len(STEPS):
        return
    with database.transaction(), translated():
        for step in STEPS[version:]:
            database.connection.execute(read_sql(step))
        database.connection.pragma("user_version", len(STEPS))


def check_schema(database: Database) -> None:
    """Compare the schema with what this version makes: a flipped bit in it can be the name of a column.

    Raises:
        Malformed: it is another one.
    """
    with translated():
        found = _schema_of(database.connection)
    if found != _expected():
        raise Malformed("the schema is damaged")


@cache
def _expected() -> list[Any]:
    fresh = apsw.Connection(":memory:")
    for step in STEPS:
        fresh.execute(read_sql(step))
    schema = _schema_of(fresh)
    fresh.close()
    return schema


def _schema_of(connection: apsw.Connection) -> list[Any]:
    return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
