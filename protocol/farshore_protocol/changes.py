"""What a record of a stream `NAME.changes` says; docs/tables.md has its fields."""

from __future__ import annotations

import enum


class Op(enum.StrEnum):
    """What happened to a captured table, or to a row of it."""

    SCHEMA = "schema"
    """The changes that follow were made under other columns than those before."""
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
