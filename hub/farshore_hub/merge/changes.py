"""From the records of a stream `NAME.changes` to rows that can be staged, column by column. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from farshore_hub.merge.layout import Layout
from farshore_hub.merge.statements import NEVER
from farshore_hub.merge.types import misfits, stored
from farshore_protocol.changes import Op

_NOTHING: Final = object()
"""Stands where a change does not name a column; NULL is something else."""

ROW_OPS: Final = frozenset(Op) - {Op.SCHEMA}


@dataclass(slots=True)
class Staging:
    """What a piece of a stream says of the rows of a merged table.

    Attributes:
        columns: by the name of the stage's column, a value for each change.
        rounds: places of changes; within a round each row is changed at most once.
        misfits: by place, why a change cannot be merged; those are in no round.
    """

    columns: dict[str, list[Any]] = field(default_factory=dict)
    rounds: list[list[int]] = field(default_factory=list)
    misfits: dict[int, str] = field(default_factory=dict)


def stage(changes: Sequence[Mapping[str, Any]], layout: Layout, by: int, latest_us: int) -> Staging:
    """Stage changes of one site, in their order.

    Args:
        changes: records whose `op` is one of `ROW_OPS`.
        layout: of the merged table; it knows their schemas.
        by: the site's number.
        latest_us: when the hub received them; a clock that is ahead of it is not believed.
    """
    staging = Staging()
    ops = [change["op"] for change in changes]
    # One after the other, also where the clock of all of them is ahead.
    at = [min(change["hlc"], latest_us + place) for place, change in enumerate(changes)]
    columns = staging.columns
    columns["n"], columns["by"] = list(range(len(changes))), [by] * len(changes)
    keys = [change.get("key") or {} for change in changes]
    for place, column in enumerate(layout.key):
        values = _picked(keys, column.names)
        _note(staging, misfits(_plain(values), column.type), f"its key column {column.name} is not {column.type}")
        _note(staging, [n for n, value in enumerate(values) if value is _NOTHING or value is None], "it has no key")
        columns[f"k{place}"] = stored(_plain(values), column.type)
    columns["present_at"] = [when if op == Op.INSERT else NEVER for op, when in zip(ops, at, strict=True)]
    columns["deleted_at"] = [when if op == Op.DELETE else NEVER for op, when in zip(ops, at, strict=True)]
    cells = [change.get("cells") or {} for change in changes]
    for place, column in enumerate(layout.cells):
        values = _picked(cells, column.names)
        _note(staging, misfits(_plain(values), column.type), f"its value of {column.name} is not {column.type}")
        columns[f"c{place}"] = stored(_plain(values), column.type)
        columns[f"c{place}_at"] = [NEVER if value is _NOTHING else when for value, when in zip(values, at, strict=True)]
    _into_rounds(staging, zip(*(columns[f"k{place}"] for place in range(len(layout.key))), strict=True))
    return staging


def _picked(mappings: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Any]:
    """What each mapping has under the first of these names that it has."""
    values = [mapping.get(names[0], _NOTHING) for mapping in mappings]
    for name in names[1:]:
        values = [mapping.get(name, _NOTHING) if value is _NOTHING else value
                  for mapping, value in zip(mappings, values, strict=True)]  # fmt: skip
    return values


def _plain(values: Iterable[Any]) -> list[Any]:
    return [None if value is _NOTHING else value for value in values]


def _note(staging: Staging, places: Iterable[int], why: str) -> None:
    for place in places:
        staging.misfits.setdefault(place, why)


def _into_rounds(staging: Staging, keys: Iterable[tuple[Any, ...]]) -> None:
    seen: dict[tuple[Any, ...], int] = {}
    for place, key in enumerate(keys):
        if place in staging.misfits:
            continue
        turn = seen.get(key, 0)
        seen[key] = turn + 1
        if turn == len(staging.rounds):
            staging.rounds.append([])
        staging.rounds[turn].append(place)
