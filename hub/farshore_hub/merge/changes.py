"""From the records of a stream `NAME.changes` to rows that can be staged. Pure.

Changes of one row become one staged row: all that counts of them are the latest insert and delete and what each cell
came to. Where a cell is worked out of its history, every change is an entry of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Policy
from farshore_hub.merge.sets import elements_of
from farshore_hub.merge.statements import HUB, NEVER
from farshore_hub.merge.types import misfits, stored
from farshore_protocol.changes import Op

_NOTHING: Final = object()
"""Stands where a change does not name a column; NULL is something else."""

ROW_OPS: Final = frozenset(Op) - {Op.SCHEMA}
MAX_DELTA: Final = 2**48
"""By how much one change can move a counter."""

TOO_OLD: Final = (
    "it is older than deletes that are forgotten, and could bring a deleted row back: "
    "put what is wanted of it in with farshore-hub tables set"
)
WHILE_OUT: Final = (
    "its site was counted out of the table, because it was silent for too long, and may have missed deletes that are "
    "forgotten: put what is wanted of it in with farshore-hub tables set"
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Passed:
    """A value that lost against another one of the same change's row before anybody else saw either."""

    row: Row
    place: int
    kept_at: int
    kept_value: Any


@dataclass(slots=True)
class Staging:
    """What a piece of a stream says of the rows of a merged table.

    Attributes:
        rows: one for each row that changes, by the names of the stage's columns.
        entries: by the place of a cell that has a history, what comes into it.
        misfits: by place, why a change cannot be merged; those are in nothing else.
        faulty: by place, which cells of such a change their columns cannot take.
        passed: values that lost against others of the same site.
        parts: of cells that take in all, by the number of the row and the place: what each change brought, and when.
    """

    rows: list[Row] = field(default_factory=list)
    entries: dict[int, list[Row]] = field(default_factory=dict)
    misfits: dict[int, str] = field(default_factory=dict)
    faulty: dict[int, set[int]] = field(default_factory=dict)
    passed: list[Passed] = field(default_factory=list)
    parts: dict[tuple[int, int], list[tuple[Any, int]]] = field(default_factory=dict)


def stage(
    changes: Sequence[Mapping[str, Any]],
    layout: Layout,
    policies: Sequence[Policy],
    by: int,
    latest_us: int,
    unfit: Mapping[int, str] = MappingProxyType({}),
) -> Staging:
    """Stage changes of one site, in their order.

    Args:
        changes: records whose `op` is one of `ROW_OPS`.
        layout: of the merged table; it knows their schemas.
        policies: of its cells.
        by: the site's number, or `HUB`.
        latest_us: when the hub received them; a clock that is ahead of it is not believed.
        unfit: by place, why a change is known not to fit.
    """
    staging = Staging(misfits=dict(unfit))
    ops = [change["op"] for change in changes]
    # One after the other, also where the clock of all of them is ahead.
    at = [min(change["hlc"], latest_us + place) for place, change in enumerate(changes)]
    columns: dict[str, list[Any]] = {"n": list(range(len(changes))), "by": [by] * len(changes)}
    keys = [change.get("key") or {} for change in changes]
    for place, column in enumerate(layout.key):
        values = _picked(keys, column.names)
        _note(staging, misfits(_plain(values), column.type), f"its key column {column.name} is not {column.type}")
        _note(staging, [n for n, value in enumerate(values) if value is _NOTHING or value is None], "it has no key")
        columns[f"k{place}"] = stored(_plain(values), column.type)
    columns["present_at"] = [when if op == Op.INSERT else NEVER for op, when in zip(ops, at, strict=True)]
    columns["deleted_at"] = [when if op == Op.DELETE else NEVER for op, when in zip(ops, at, strict=True)]
    cells = [change.get("cells") or {} for change in changes]
    sets: dict[int, list[list[str] | None]] = {}
    for place, (column, policy) in enumerate(zip(layout.cells, policies, strict=True)):
        values = _picked(cells, column.names)
        faults = dict.fromkeys(misfits(_plain(values), column.type), f"its value of {column.name} is not {column.type}")
        if why := policy.unfit(column.type):
            faults |= {n: f"{column.name}: {why}" for n, value in enumerate(values) if value is not _NOTHING}
        elif policy is Policy.SUM:
            values = _deltas(faults, values, changes, column.names)
        elif policy is Policy.SET:
            sets[place] = _elements(faults, values, column.name)
        for n, why in faults.items():
            staging.misfits.setdefault(n, why)
            staging.faulty.setdefault(n, set()).add(place)
        columns[f"c{place}"] = stored(_plain(values), column.type)
        columns[f"c{place}_at"] = [NEVER if value is _NOTHING else when for value, when in zip(values, at, strict=True)]
    rows = _rows(columns, len(changes))
    fits = [row for row in rows if row["n"] not in staging.misfits]
    for place, policy in enumerate(policies):
        if policy is not Policy.LAST_WRITE:
            staging.entries[place] = [*_entries(fits, layout, place, sets.get(place))]
    _join(staging, fits, layout, policies)
    return staging


def _rows(columns: Mapping[str, list[Any]], count: int) -> list[Row]:
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)] if count else []


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


def _deltas(
    faults: dict[int, str], values: Sequence[Any], changes: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> list[Any]:
    """By how much each change moves a counter: an insert from nothing, an update as it says."""
    told = _picked([change.get("deltas") or {} for change in changes], names)
    deltas = []
    for place, (value, delta, change) in enumerate(zip(values, told, changes, strict=True)):
        moved = value if value is _NOTHING or change["op"] == Op.INSERT else delta
        if value is not _NOTHING and moved is _NOTHING:
            why = f"it does not say by how much {names[-1]} changed: name it in counters = [...] at the site"
            faults.setdefault(place, why)
        elif moved is not None and moved is not _NOTHING and (type(moved) is not int or abs(moved) > MAX_DELTA):
            faults.setdefault(place, f"{names[-1]} changes by more than a counter can at once")
        deltas.append(moved)
    return deltas


def _elements(faults: dict[int, str], values: Sequence[Any], name: str) -> list[list[str] | None]:
    """The elements of each array; None where there is none."""
    found: list[list[str] | None] = []
    for place, value in enumerate(values):
        try:
            found.append(None if value is _NOTHING or value is None else elements_of(value))
        except ValueError as error:
            faults.setdefault(place, f"its value of {name} {error}, and set unites JSON arrays")
            found.append(None)
    return found


def _entries(rows: Iterable[Row], layout: Layout, place: int, sets: Sequence[list[str] | None] | None) -> Iterator[Row]:
    """What comes into the history of a cell. Of a set: an entry without a value, and one for each element."""
    keys = [f"k{each}" for each in range(len(layout.key))]
    name, name_at = f"c{place}", f"c{place}_at"
    for row in rows:
        if row[name_at] == NEVER:
            continue
        is_opening = int(row["present_at"] > NEVER)
        entry = {key: row[key] for key in keys}
        entry |= {"n": row["n"], "part": 0, "at": row[name_at], "by": row["by"], "is_opening": is_opening}
        if sets is None:
            yield entry | {"value": row[name]}
            continue
        elements = sets[row["n"]]
        if elements is not None or row["by"] == HUB:
            for part, element in enumerate([None, *(elements or ())]):
                yield entry | {"part": part, "value": element}


def _join(staging: Staging, rows: Iterable[Row], layout: Layout, policies: Sequence[Policy]) -> None:
    """One row for all changes of a row."""
    keys = [f"k{place}" for place in range(len(layout.key))]
    joined: dict[tuple[Any, ...], Row] = {}
    united = [place for place, policy in enumerate(policies) if not policy.has_losers]
    for row in rows:
        whole = joined.setdefault(tuple([row[each] for each in keys]), row)
        for place in united:
            if row[f"c{place}_at"] > NEVER:
                brought = row[f"c{place}"], row[f"c{place}_at"]
                staging.parts.setdefault((whole["n"], place), []).append(brought)
        if whole is not row:
            _join_into(whole, row, policies, staging.passed)
    staging.rows = list(joined.values())


def _join_into(row: Row, after: Row, policies: Sequence[Policy], passed: list[Passed]) -> None:
    for name in ("present_at", "deleted_at"):
        row[name] = max(row[name], after[name])
    for place, policy in enumerate(policies):
        name, name_at = f"c{place}", f"c{place}_at"
        if NEVER < row[name_at] < after["deleted_at"]:
            # A site's own delete: nothing of its row before it counts any more.
            row[name], row[name_at] = None, NEVER
        if after[name_at] == NEVER:
            continue
        if row[name_at] == NEVER or _takes_over(policy, after, row, name):
            row[name], row[name_at] = after[name], after[name_at]
        elif policy.has_losers and after[name_at] > row[name_at] and after[name] != row[name]:
            passed.append(Passed(after, place, row[name_at], row[name]))


def _takes_over(policy: Policy, after: Row, row: Row, name: str) -> bool:
    """Whether of two values of one site the second one stands."""
    is_later = bool(after[f"{name}_at"] > row[f"{name}_at"])
    if policy in {Policy.MAX, Policy.MIN} and after[name] != row[name]:
        if after[name] is None or row[name] is None:
            return row[name] is None
        return bool(after[name] > row[name]) is (policy is Policy.MAX)
    return not is_later if policy is Policy.FIRST_WRITE else is_later
