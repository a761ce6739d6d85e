"""What becomes of a row at the site when the hub tells how it stands. Pure.

What the application has changed, and the hub has not merged yet, is not touched: it goes up, the merge decides, and the
row comes down again. Everything else becomes what the hub says, cell by cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from farshore_agent.tables.changes import Cells, Value, are_same


@dataclass(frozen=True, slots=True)
class Here:
    """A row as it is at the site.

    Attributes:
        row: in the application's database; None if it is not there.
        told: as both sides knew it last (the shadow); None if they knew none.
        is_noted: the application has changed it since it was last looked at.
        under_way: columns that changes have which the hub has not merged yet.
        is_whole: one of these changes is a delete, or an insert.
    """

    row: Cells | None
    told: Cells | None
    is_noted: bool = False
    under_way: frozenset[str] = frozenset()
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with it.

    Attributes:
        deletes: take the row out.
        inserts: put it in, with `cells`; otherwise `cells` are to be written over those that are there.
        kept: columns that stay as they are and as they were told.
        waits: look at it again when the site's own changes of the row are merged.
    """

    deletes: bool = False
    inserts: bool = False
    cells: Mapping[str, Value] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    waits: bool = False


def step(incoming: Cells | None, here: Here) -> Step:
    """What to do with a row of which the hub says that it is so; `None` that it is not the site's (any more)."""
    row, told = here.row, here.told
    came_or_went = here.is_noted and (row is None) != (told is None)
    if here.is_whole or came_or_went:
        return Step(waits=True)
    edited = _edited(row, told) if here.is_noted else frozenset()
    kept = here.under_way | edited
    if incoming is None:
        return Step(waits=True) if kept else Step(deletes=row is not None)
    if row is None:
        return Step(waits=True) if kept else Step(inserts=True, cells=dict(incoming))
    changed = {name: value for name, value in incoming.items()
               if name not in kept and not are_same(row.get(name), value)}  # fmt: skip
    return Step(cells=changed, kept=kept, waits=bool(kept))


def told_after(incoming: Cells, here: Here, kept: frozenset[str], written: Cells) -> dict[str, Value]:
    """What both sides know of a row once `step` is done and it reads `written`.

    A column that the hub does not tell, and one that is kept, stays as it was told: its change is the site's own.
    """
    before = here.told or {}
    return {
        name: before[name] if name in before and (name in kept or name not in incoming) else value
        for name, value in written.items()
    }


def _edited(row: Cells | None, told: Cells | None) -> frozenset[str]:
    if row is None or told is None:
        return frozenset()
    return frozenset(name for name, value in row.items() if not are_same(told.get(name), value))
