"""Who wins, when several have changed the same cell. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from farshore_hub.merge.types import Type


class Policy(enum.StrEnum):
    """Of a column. All of them give the same result in whatever order changes come."""

    LAST_WRITE = "last-write"
    FIRST_WRITE = "first-write"
    MAX = "max"
    MIN = "min"
    HUB = "hub"
    """What the hub wrote, whatever sites write; else the last write."""
    SITE = "site"
    """What a site wrote, whatever the hub writes; else the last write."""
    SUM = "sum"
    """A counter: what each change added is added."""
    SET = "set"
    """A JSON array: what anybody has put into it is in it."""
    MANUAL = "manual"
    """The last write, and where sites disagree the row is marked until somebody resolves it."""

    @property
    def has_losers(self) -> bool:
        """Whether a value can lose against another one: counters and sets take in all."""
        return self not in {Policy.SUM, Policy.SET}

    @property
    def is_replaced_by_hub(self) -> bool:
        """Whether what the hub writes takes the place of all that was written before."""
        return self in {Policy.SET, Policy.MANUAL}

    def unfit(self, type_: Type) -> str:
        """Why a column of this type cannot have this policy; empty if it can."""
        what, types = _NEEDS.get(self, ("", frozenset(Type)))
        return "" if type_ in types else f"{what}, and the column is {type_}: declare it otherwise, or another policy"


_NEEDS: Final = {
    Policy.SUM: ("sum adds whole numbers", frozenset({Type.INTEGER})),
    Policy.SET: ("set unites arrays that are JSON text", frozenset({Type.TEXT, Type.ANY})),
}


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
