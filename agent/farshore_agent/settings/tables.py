"""The tables of the site's own applications whose changes are captured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from farshore_agent.settings.kinds import ListOf, LocalPath, Text, Whole
from farshore_agent.settings.table import Table, setting
from farshore_agent.settings.units import DAY_S, MINUTE_S, duration
from farshore_protocol.urgency import DEFAULT_PRIORITY, FIRST_PRIORITY, LAST_PRIORITY


@dataclass(frozen=True, kw_only=True)
class TableSettings(Table):
    """`[tables.NAME]`: its changes become the stream `NAME.changes`.

    Attributes:
        database: the application's SQLite file.
        table: its name there; NAME if it is not given.
        key: the columns that name a row, if that is not the primary key; a UNIQUE index has to say so.
        columns: what is captured beside the key; all columns if none are named.
        priority: 0 (last) … 9 (first).
        poll_s: how often the agent looks.
        verify_every_s: how often it compares all rows, for changes that triggers do not see.
    """

    database: Path = setting(LocalPath())
    table: str = setting(Text(1, 1000), default="")
    key: tuple[str, ...] = setting(ListOf(Text(1, 1000)), default=())
    columns: tuple[str, ...] = setting(ListOf(Text(1, 1000)), default=())
    priority: int = setting(Whole(LAST_PRIORITY, FIRST_PRIORITY), default=DEFAULT_PRIORITY)
    poll_s: float = setting(duration(0.01, 60 * MINUTE_S), key="poll", default=1)
    verify_every_s: float = setting(duration(MINUTE_S, 365 * DAY_S), key="verify_every", default=DAY_S)
