"""The tables of the site's own applications: whose changes are captured, and which follow the hub's."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from farshore_agent.settings.kinds import ListOf, LocalPath, Text, Whole, Word
from farshore_agent.settings.table import Table, setting
from farshore_agent.settings.units import DAY_S, MINUTE_S, duration
from farshore_protocol.urgency import DEFAULT_PRIORITY, FIRST_PRIORITY, LAST_PRIORITY


class Direction(enum.StrEnum):
    """Which way the rows of a table go."""

    UP = "up"
    """The site's changes go to the hub."""
    DOWN = "down"
    """The hub's rows come to the site; what the site's application changes in them stays there."""
    BOTH = "both"
    """Both sides change it, and every site comes to have what the hub has merged."""

    @property
    def is_captured(self) -> bool:
        """Whether the site's changes go up."""
        return self is not Direction.DOWN

    @property
    def is_followed(self) -> bool:
        """Whether the hub's rows come down."""
        return self is not Direction.UP


@dataclass(frozen=True, kw_only=True)
class TableSettings(Table):
    """`[tables.NAME]`: its changes become the stream `NAME.changes`, or the hub's rows of that name come into it.

    Attributes:
        database: the application's SQLite file.
        direction: which way its rows go.
        table: its name there; NAME if it is not given.
        key: the columns that name a row, if that is not the primary key; a UNIQUE index has to say so.
        columns: what is captured beside the key; all columns if none are named.
        counters: those of them whose changes say by how much they changed, so that the hub can add up what sites did.
        priority: 0 (last) … 9 (first).
        poll_s: how often the agent looks.
        verify_every_s: how often it compares all rows, for changes that triggers do not see.
        pull_s: how long the agent waits between two questions for what is new at the hub; up to half a minute, the hub
            keeps a question until there is something.
    """

    database: Path = setting(LocalPath())
    table: str = setting(Text(1, 1000), default="")
    direction: Direction = setting(Word.of_enum(Direction), default=Direction.UP)
    key: tuple[str, ...] = setting(ListOf(Text(1, 1000)), default=())
    columns: tuple[str, ...] = setting(ListOf(Text(1, 1000)), default=())
    counters: tuple[str, ...] = setting(ListOf(Text(1, 1000)), default=())
    priority: int = setting(Whole(LAST_PRIORITY, FIRST_PRIORITY), default=DEFAULT_PRIORITY)
    poll_s: float = setting(duration(0.01, 60 * MINUTE_S), key="poll", default=1)
    verify_every_s: float = setting(duration(MINUTE_S, 365 * DAY_S), key="verify_every", default=DAY_S)
    pull_s: float = setting(duration(0.01, DAY_S), key="pull", default=1)
