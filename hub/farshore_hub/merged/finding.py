"""The merged table of a name, to be looked at or to be worked on."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from farshore_hub.errors import Conflict, Unknown
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Rules
from farshore_hub.merged.table import OpenTable
from farshore_hub.store import merge as store


def found_table(connection: Connection, name: str) -> tuple[int, Layout]:
    """The number and the layout of the merged table of that name.

    Raises:
        Unknown: there is none.
    """
    found = store.find_table(connection, name)
    if found is None:
        raise Unknown(f"no table {name[:80]!r} is merged here", remedy="farshore-hub tables list shows those that are")
    return found


def opened_table(connection: Connection, name: str, rules: Mapping[str, Rules], now_us: int) -> OpenTable:
    """The same, ready to be merged into by the rules of its declaration.

    Raises:
        Unknown: there is none.
        Conflict: it is not declared, or nobody has said what it looks like.
    """
    found_table(connection, name)
    if name not in rules:
        raise Conflict(f"the table {name} is not merged any more", remedy=f"declare [tables.{name}] in hub.toml")
    table = OpenTable.opened(connection, name, rules[name], now_us)
    if not table.layout.key:
        raise Conflict(
            f"nobody has said yet what the table {name} looks like",
            remedy=f"wait for a site that has it, or 'farshore-hub tables define {name} --key …'",
        )
    table.attend(connection)
    return table
