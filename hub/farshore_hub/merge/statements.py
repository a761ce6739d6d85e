"""The tables and statements of one merged table, for SQLite and PostgreSQL. Makes SQL, runs none.

A cell is three columns: the value, when it was written (`_at`, the change's clock; -1 for never) and by which site
(`_by`). `present_at` is the latest insert of the row, `deleted_at` the latest delete. All of them only ever move one
way, each by its policy: that is why the order of changes does not matter (state-based CRDTs: Shapiro et al., 2011).

`version` counts: a row has a greater one than any row of its table had before, after every change that has met it,
also after one that has lost, because whoever sent that has to be told what stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    MetaData,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import quoted_name

from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Deletes, Policy, Rules
from farshore_hub.merge.types import SQL

NEVER: Final = -1
HUB: Final = 0
"""Who has written a cell, where it was the hub; sites have numbers from 1."""

_NEVER: Final = str(NEVER)
_ROW: Final = ("present", "deleted")


class Statements:
    """Of one merged table with its present layout.

    Attributes:
        merged: the table; the rows of all sites.
        staged: a temporary table for the changes that are merged into it at one time.
        by_version: an index of it.
        policies: of the cells, in their order.
    """

    def __init__(self, table_id: int, layout: Layout, rules: Rules) -> None:
        metadata = MetaData()
        self.layout = layout
        self.deletes = rules.deletes
        self.policies = [rules.of(each.names) for each in layout.cells]
        keys = [(f"k{place}", SQL[each.type]) for place, each in enumerate(layout.key)]
        cells = [(f"c{place}", SQL[each.type]) for place, each in enumerate(layout.cells)]
        self.merged = Table(
            f"merged_{table_id}",
            metadata,
            *(Column(name, type_, primary_key=True, autoincrement=False) for name, type_ in keys),
            Column("version", BigInteger, nullable=False, server_default="0"),
            *(column for name in _ROW for column in _stamp(name)),
            *(column for name, type_ in cells for column in (Column(name, type_), *_stamp(name))),
        )
        self.by_version = Index(f"merged_{table_id}_version", self.merged.c.version)
        self.staged = Table(
            f"merging_{table_id}",
            metadata,
            Column("n", BigInteger, primary_key=True, autoincrement=False),
            Column("by", BigInteger, nullable=False),
            *(Column(name, type_, nullable=False) for name, type_ in keys),
            *(_at(name) for name in _ROW),
            *(column for name, type_ in cells for column in (Column(name, type_), _at(name))),
            prefixes=["TEMPORARY"],
        )
        self.keys = [name for name, _ in keys]
        self.cells = [name for name, _ in cells]

    def merge(self, dialect: str) -> Any:  # noqa: ANN401 - two dialects' classes without a common one
        """Let what is staged into the merged table; each row of it at most once in the stage.

        Its parameter `before` is the last version that was given to a row.
        """
        names = [column.name for column in self.merged.columns]
        statement = (postgresql if dialect == "postgresql" else sqlite).insert(self.merged)
        statement = statement.from_select(names, self._incoming())
        new = {name: case((wins, statement.excluded[name]), else_=self.merged.c[name])
               for name, wins in self._winning(statement.excluded).items()}  # fmt: skip
        new["version"] = statement.excluded.version
        return statement.on_conflict_do_update(index_elements=self.keys, set_=new)

    def contested(self) -> Select[Any]:
        """Staged changes that meet what another site has written.

        Each with its number, the merged row as it was, and for each cell (`_wins`) whether the change's value will
        take the place of the one that is there.
        """
        old, new = self.merged.c, self._newcomers()
        met = [
            and_(new[f"{name}_at"] > NEVER, old[f"{name}_at"] > NEVER, old[f"{name}_by"] != new["by"],
                 old[name].is_distinct_from(new[name]))
            for name in self.cells
        ]  # fmt: skip
        deleting = [
            and_(new["deleted_at"] > NEVER, old[f"{name}_at"] > NEVER, old[f"{name}_by"] != new["by"])
            for name in self.cells
        ]
        deleted = and_(old.deleted_at > NEVER, old.deleted_by != new["by"], new["deleted_at"] == NEVER)
        same = and_(*(old[name] == new[name] for name in self.keys))
        wins = [
            _beats(policy, new, old, name).label(f"{name}_wins")
            for name, policy in zip(self.cells, self.policies, strict=True)
        ]
        found = select(new["n"], *wins, *self.merged.columns).join_from(self.staged, self.merged, same)
        return found.where(or_(*met, *deleting, deleted))

    def departing(self, cells: Sequence[str]) -> Select[Any]:
        """Staged changes that write one of these cells otherwise: the number, the row's key, and what they held."""
        old, new = self.merged.c, self.staged.c
        same = and_(*(old[name] == new[name] for name in self.keys))
        moved = or_(*(and_(new[f"{name}_at"] > NEVER, old[name].is_distinct_from(new[name])) for name in cells))
        found = select(new["n"], *(old[name] for name in self.keys), *(old[name] for name in cells))
        return found.join_from(self.staged, self.merged, same).where(moved)

    def rows(self) -> Select[Any]:
        """The rows that are there, with the columns' present names: what the view shows."""
        shown = [_named(self.merged.c[name], each.name) for name, each in zip(self.keys, self.layout.key, strict=True)]
        for name, each in zip(self.cells, self.layout.cells, strict=True):
            shown.append(_named(self._shown(name), each.name))
        return select(*shown).where(self.is_present())

    def changed(self, after: int, limit: int) -> Select[Any]:
        """Rows that have changed since `after`, a version, in the order of their versions; those that are gone too.

        Each with `version`, whether it `is_present`, its key (`k0`…) and its cells by place (`c0`…), as `rows` has
        them, with their stamps (`c0_at`, `c0_by`), and `row_at`, when it came or went last.
        """
        old = self.merged.c
        cells = [part for name in self.cells
                 for part in (self._shown(name).label(name), old[f"{name}_at"], old[f"{name}_by"])]  # fmt: skip
        row_at = case((old.present_at > old.deleted_at, old.present_at), else_=old.deleted_at).label("row_at")
        shown = self.is_present().label("is_present")
        found = select(old.version, shown, row_at, *(old[name] for name in self.keys), *cells)
        return found.where(old.version > after).order_by(old.version).limit(limit)

    def one(self, key: Sequence[Any]) -> Select[Any]:
        """One row with all that is kept of it, whether it `is_present`, and what its cells show (`c0_shown`…)."""
        shown = [self._shown(name).label(f"{name}_shown") for name in self.cells]
        same = and_(*(self.merged.c[name] == value for name, value in zip(self.keys, key, strict=True)))
        return select(*self.merged.columns, self.is_present().label("is_present"), *shown).where(same)

    def _shown(self, name: str) -> ColumnElement[Any]:
        """What a cell of a row that is there holds: what was written before the row was deleted does not come back."""
        old = self.merged.c
        policy = self.policies[self.cells.index(name)]
        if policy is not Policy.LAST_WRITE:
            return old[name]
        return case((not_(_later(old, name, old, "deleted")), None), else_=old[name])

    def is_present(self) -> ColumnElement[bool]:
        """Whether a row of `merged` is there."""
        old = self.merged.c
        alive = _later(old, "present", old, "deleted")
        if self.deletes is Deletes.WIN:
            return alive
        return or_(alive, *(and_(old.present_at > NEVER, _later(old, name, old, "deleted")) for name in self.cells))

    def _newcomers(self) -> dict[str, ColumnElement[Any]]:
        """What is staged, by the names of the merged table's columns; all of a change is by one site."""
        staged = self.staged.c
        version = bindparam("before", type_=BigInteger) + staged.n + 1
        return {**staged, "version": version, **{f"{name}_by": staged.by for name in (*_ROW, *self.cells)}}

    def _incoming(self) -> Select[Any]:
        new = self._newcomers()
        # SQLite takes ON for a join's unless there is a WHERE.
        return select(*(new[column.name] for column in self.merged.columns)).where(new["n"] >= 0)

    def _winning(self, new: Any) -> dict[str, ColumnElement[bool]]:  # noqa: ANN401 - `excluded`, a collection of columns
        """By column of `merged`: whether the newcomer's value takes its place."""
        old = self.merged.c
        wins = {f"{name}_{part}": _later(new, name, old, name) for name in _ROW for part in ("at", "by")}
        for name, policy in zip(self.cells, self.policies, strict=True):
            is_written, was_written = new[f"{name}_at"] > NEVER, old[f"{name}_at"] > NEVER
            won = and_(is_written, or_(not_(was_written), _beats(policy, new, old, name)))
            wins |= dict.fromkeys((name, f"{name}_at", f"{name}_by"), won)
        return wins


def _beats(policy: Policy, new: Any, old: Any, name: str) -> ColumnElement[bool]:  # noqa: ANN401 - collections of columns
    """Whether a new value of a cell beats the old one. NULL is less than anything, and ties go to the later one."""
    later = _later(new, name, old, name)
    if policy is Policy.LAST_WRITE:
        return later
    if policy is Policy.FIRST_WRITE:
        return _later(old, name, new, name)
    more = new[name] > old[name] if policy is Policy.MAX else new[name] < old[name]
    filled = and_(old[name].is_(None), new[name].is_not(None))
    same = not_(old[name].is_distinct_from(new[name]))
    return or_(func.coalesce(more, False), filled, and_(same, later))


def _later(one: Any, of: str, other: Any, than: str) -> ColumnElement[bool]:  # noqa: ANN401 - collections of columns
    """Whether one stamp comes after another: by the clock, then by the site's number."""
    at, by, other_at, other_by = one[f"{of}_at"], one[f"{of}_by"], other[f"{than}_at"], other[f"{than}_by"]
    return or_(at > other_at, and_(at == other_at, by > other_by))


def _named(value: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    return value.label(quoted_name(name, quote=True))


def _at(name: str) -> Column[int]:
    return Column(f"{name}_at", BigInteger, nullable=False, server_default=_NEVER)


def _stamp(name: str) -> Sequence[Column[int]]:
    return _at(name), Column(f"{name}_by", BigInteger, nullable=False, server_default="0")
