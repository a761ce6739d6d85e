"""Who wins, when two sites have changed the same cell. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


class Policy(enum.StrEnum):
    """Of a column. All of them give the same result in whatever order changes come."""

    LAST_WRITE = "last-write"
    FIRST_WRITE = "first-write"
    MAX = "max"
    MIN = "min"


class Deletes(enum.StrEnum):
    """When one site deletes a row that another changes."""

    WIN = "win"
    """The row is gone until somebody inserts it again, later than the delete."""
    LOSE = "lose"
    """A change that is later than the delete brings the row back."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a table is merged.

    Attributes:
        columns: the policies of columns that have one of their own, by name.
        scoped_by: columns that say which sites may have a row.
    """

    policy: Policy = Policy.LAST_WRITE
    columns: Mapping[str, Policy] = field(default_factory=dict)
    deletes: Deletes = Deletes.WIN
    scoped_by: tuple[str, ...] = ()

    def of(self, names: Iterable[str]) -> Policy:
        """The policy of a column that is or was known by these names."""
        return next((self.columns[name] for name in names if name in self.columns), self.policy)
