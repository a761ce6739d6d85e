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
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    false,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import quoted_name

from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Deletes, Policy, Rules
from farshore_hub.merge.types import SQL, Type

NEVER: Final = -1
MARK: Final = "_open"
"""The column of a view that says whether a row waits for somebody to settle a cell."""

HUB: Final = 0
"""Who has written a cell, where it was the hub; sites have numbers from 1."""

_NEVER: Final = str(NEVER)
_ROW: Final = ("present", "deleted")


class Statements:
    """Of one merged table with its present layout.

    Attributes:
        merged: the table; the rows of all sites.
        staged: a temporary table for the changes that are merged into it at one time. A connection keeps it: where it
            is made anew, SQLite has to prepare all statements again.
        by_version: an index of it.
        declared: the policies of the cells, in their order.
        policies: those that are followed: where one does not fit its column, nothing is ever written to that.
        marks: columns of `merged` that say that a cell waits to be settled by hand.
    """

    def __init__(self, table_id: int, layout: Layout, rules: Rules) -> None:
        metadata = MetaData()
        self.layout = layout
        self.deletes = rules.deletes
        self.declared = [rules.of(each.names) for each in layout.cells]
        self.policies = [Policy.LAST_WRITE if policy.unfit(each.type) else policy
                         for policy, each in zip(self.declared, layout.cells, strict=True)]  # fmt: skip
        keys = [(f"k{place}", SQL[each.type]) for place, each in enumerate(layout.key)]
        cells = [(f"c{place}", SQL[each.type]) for place, each in enumerate(layout.cells)]
        self.keys = [name for name, _ in keys]
        self.cells = [name for name, _ in cells]
        self.marks = [f"{name}_open" for name, policy in zip(self.cells, self.policies, strict=True)
                      if policy is Policy.MANUAL]  # fmt: skip
        self.merged = Table(
            f"merged_{table_id}",
            metadata,
            *(Column(name, type_, primary_key=True, autoincrement=False) for name, type_ in keys),
            Column("version", BigInteger, nullable=False, server_default="0"),
            *(column for name in _ROW for column in _stamp(name)),
            *(column for name, type_ in cells for column in (Column(name, type_), *_stamp(name))),
            *(Column(name, BigInteger, nullable=False, server_default="0") for name in self.marks),
        )
        self.by_version = Index(f"merged_{table_id}_version", self.merged.c.version)
        self.staged = Table(
            # One for each layout: columns are only ever added, or widened.
            f"merging_{table_id}_{len(cells)}_{sum(each.type is Type.ANY for each in layout.cells)}",
            metadata,
            Column("n", BigInteger, primary_key=True, autoincrement=False),
            Column("by", BigInteger, nullable=False),
            *(Column(name, type_, nullable=False) for name, type_ in keys),
            *(_at(name) for name in _ROW),
            *(column for name, type_ in cells for column in (Column(name, type_), _at(name))),
            prefixes=["TEMPORARY"],
            postgresql_on_commit="DELETE ROWS",
        )

    def merge(self, dialect: str) -> Any:  # noqa: ANN401 - two dialects' classes without a common one
        """Let what is staged into the merged table; each row of it at most once in the stage.

        Its parameter `before` is the last version that was given to a row. A cell that has a history is worked out of
        that afterwards.
        """
        names = ["version", *self.keys, *(f"{name}_{part}" for name in _ROW for part in ("at", "by"))]
        for name in self._plain_cells():
            names += [name, f"{name}_at", f"{name}_by"]
        new = self._newcomers()
        # SQLite takes ON for a join's unless there is a WHERE.
        incoming = select(*(new[name] for name in names)).where(new["n"] >= 0)
        statement = (postgresql if dialect == "postgresql" else sqlite).insert(self.merged)
        statement = statement.from_select(names, incoming)
        taken = {name: case((wins, statement.excluded[name]), else_=self.merged.c[name])
                 for name, wins in self._winning(statement.excluded).items()}  # fmt: skip
        taken["version"] = statement.excluded.version
        return statement.on_conflict_do_update(index_elements=self.keys, set_=taken)

    def contested(self) -> Select[Any]:
        """Staged changes that meet what somebody else has written, or that lose against what they wrote themselves.

        Each with its number, and the merged row as it was.
        """
        old, new = self.merged.c, self._newcomers()
        met = [self._meets(old, new, name, policy) for name, policy in zip(self.cells, self.policies, strict=True)]
        deleting = [
            and_(new["deleted_at"] > NEVER, old[f"{name}_at"] > NEVER, old[f"{name}_by"] != new["by"])
            for name in self.cells
        ]
        deleted = and_(old.deleted_at > NEVER, or_(old.deleted_by != new["by"], new["present_at"] > NEVER))
        found = select(new["n"], *self.merged.columns, self.is_present().label("is_present"))
        return found.join_from(self.staged, self.merged, self.same()).where(or_(*met, *deleting, deleted))

    def settled(self, *more: ColumnElement[Any]) -> Select[Any]:
        """The merged rows of staged ones, whether each `is_present`, and what its cells show (`c0_shown`…).

        Its parameter `numbers` says of which.
        """
        shown = [self.shown(name).label(f"{name}_shown") for name in self.cells]
        found = select(self.staged.c.n, *self.merged.columns, self.is_present().label("is_present"), *shown, *more)
        return found.join_from(self.staged, self.merged, self.same()).where(
            self.staged.c.n.in_(bindparam("numbers", expanding=True))
        )

    def forgettable(self, version: int, at: int, limit: int) -> Any:  # noqa: ANN401 - an Insert, which is generic in nothing that matters
        """Stage rows that were deleted, up to a version, and on which nothing is later than a stamp."""
        old, staged = self.merged.c, self.staged
        stamps = [old.present_at, old.deleted_at, *(old[f"{name}_at"] for name in self.cells)]
        place = func.row_number().over(order_by=old.version)
        found = select(place, literal(HUB), *(old[name] for name in self.keys))
        found = found.where(
            not_(self.is_present()), old.deleted_at > NEVER, old.version <= version, *(each <= at for each in stamps)
        )
        return insert(staged).from_select(["n", "by", *self.keys], found.order_by(old.version).limit(limit))

    def forget(self) -> Any:  # noqa: ANN401 - a Delete, likewise
        """Take the staged rows out."""
        keys = tuple_(*(self.merged.c[name] for name in self.keys))
        return delete(self.merged).where(keys.in_(select(*(self.staged.c[name] for name in self.keys))))

    def same(self) -> ColumnElement[bool]:
        """Whether a staged row and a merged one have the same key."""
        return and_(*(self.merged.c[name] == self.staged.c[name] for name in self.keys))

    def departing(self, cells: Sequence[str]) -> Select[Any]:
        """Staged changes that write one of these cells otherwise: the number, the row's key, and what they held.

        A cell that has a history may hold something else as well when its row comes or goes.
        """
        old, new = self.merged.c, self.staged.c
        comes_or_goes = or_(new.deleted_at > NEVER, new.present_at > NEVER)
        moved = [and_(new[f"{name}_at"] > NEVER, old[name].is_distinct_from(new[name])) for name in cells]
        moved += [and_(comes_or_goes, old[name].is_not(None)) for name in cells if name not in self._plain_cells()]
        found = select(new["n"], *(old[name] for name in self.keys), *(old[name] for name in cells))
        return found.join_from(self.staged, self.merged, self.same()).where(or_(*moved))

    def rows(self) -> Select[Any]:
        """The rows that are there, with the columns' present names: what the view shows.

        Where a column is settled by hand, `_open` says whether the row waits for that.
        """
        shown = [_named(self.merged.c[name], each.name) for name, each in zip(self.keys, self.layout.key, strict=True)]
        for name, each in zip(self.cells, self.layout.cells, strict=True):
            shown.append(_named(self.shown(name), each.name))
        if self.marks:
            shown.append(case((or_(*(self.merged.c[name] > 0 for name in self.marks)), 1), else_=0).label(MARK))
        return select(*shown).where(self.is_present())

    def searched(self, search: str, start: int, limit: int) -> Select[Any]:
        """Some of `rows`, in the order of their key: those of which a part of the key begins with that text."""
        keys = [self.merged.c[name] for name in self.keys]
        found = self.rows().order_by(*keys).offset(start).limit(limit)
        # Texts that may be anything stand as JSON, in quotes.
        begins = [cast(key, Text).startswith(text, autoescape=True) for key in keys for text in (search, f'"{search}')]
        return found.where(or_(*begins)) if search else found

    def changed(self, after: int, limit: int) -> Select[Any]:
        """Rows that have changed since `after`, a version, in the order of their versions; those that are gone too.

        Each with `version`, whether it `is_present`, its key (`k0`…) and its cells by place (`c0`…), as `rows` has
        them, with their stamps (`c0_at`, `c0_by`), and `row_at`, when it came or went last.
        """
        old = self.merged.c
        cells = [part for name in self.cells
                 for part in (self.shown(name).label(name), old[f"{name}_at"], old[f"{name}_by"])]  # fmt: skip
        row_at = case((old.present_at > old.deleted_at, old.present_at), else_=old.deleted_at).label("row_at")
        shown = self.is_present().label("is_present")
        found = select(old.version, shown, row_at, *(old[name] for name in self.keys), *cells)
        return found.where(old.version > after).order_by(old.version).limit(limit)

    def one(self, key: Sequence[Any]) -> Select[Any]:
        """One row with all that is kept of it; see `whole`."""
        return self.whole().where(
            and_(*(self.merged.c[name] == value for name, value in zip(self.keys, key, strict=True)))
        )

    def whole(self, keys: Sequence[Sequence[Any]] | None = None) -> Select[Any]:
        """Rows with all that is kept of them: those of these keys, or every one.

        Each with whether it `is_present`, and what its cells show (`c0_shown`…).
        """
        shown = [self.shown(name).label(f"{name}_shown") for name in self.cells]
        found = select(*self.merged.columns, self.is_present().label("is_present"), *shown)
        if keys is None:
            return found
        columns = [self.merged.c[name] for name in self.keys]
        if len(columns) == 1:
            return found.where(columns[0].in_([key[0] for key in keys]))
        return found.where(tuple_(*columns).in_([tuple(key) for key in keys]))

    def shown(self, name: str) -> ColumnElement[Any]:
        """What a cell of a row that is there holds: what was written before the row was deleted does not come back."""
        old = self.merged.c
        policy = self.policies[self.cells.index(name)]
        if policy is not Policy.LAST_WRITE:
            return old[name]
        return case((not_(later(old, name, old, "deleted")), None), else_=old[name])

    def is_present(self) -> ColumnElement[bool]:
        """Whether a row of `merged` is there."""
        old = self.merged.c
        alive = later(old, "present", old, "deleted")
        if self.deletes is Deletes.WIN:
            return alive
        return or_(alive, *(and_(old.present_at > NEVER, later(old, name, old, "deleted")) for name in self.cells))

    def _newcomers(self) -> dict[str, ColumnElement[Any]]:
        """What is staged, by the names of the merged table's columns; all of a change is by one site."""
        staged = self.staged.c
        version = bindparam("before", type_=BigInteger) + staged.n + 1
        return {**staged, "version": version, **{f"{name}_by": staged.by for name in (*_ROW, *self.cells)}}

    def _plain_cells(self) -> list[str]:
        """Cells that are what was written last, and need no history."""
        return [name for name, policy in zip(self.cells, self.policies, strict=True) if policy is Policy.LAST_WRITE]

    def _meets(self, old: Any, new: Any, name: str, policy: Policy) -> ColumnElement[bool]:  # noqa: ANN401 - columns
        """Whether a staged value of a cell and the one that is there differ, so that one of them loses."""
        if not policy.has_losers:
            return false()
        others = old[f"{name}_by"] != new["by"]
        if policy not in {Policy.LAST_WRITE, Policy.MANUAL}:
            others = true()  # a site's earlier write, which comes late, may take the place of its later one
        return and_(new[f"{name}_at"] > NEVER, old[f"{name}_at"] > NEVER, others,
                    old[name].is_distinct_from(new[name]))  # fmt: skip

    def _winning(self, new: Any) -> dict[str, ColumnElement[bool]]:  # noqa: ANN401 - `excluded`, a collection of columns
        """By column of `merged`: whether the newcomer's value takes its place."""
        old = self.merged.c
        wins = {f"{name}_{part}": later(new, name, old, name) for name in _ROW for part in ("at", "by")}
        for name in self._plain_cells():
            is_written, was_written = new[f"{name}_at"] > NEVER, old[f"{name}_at"] > NEVER
            won = and_(is_written, or_(not_(was_written), later(new, name, old, name)))
            wins |= dict.fromkeys((name, f"{name}_at", f"{name}_by"), won)
        return wins


def later(one: Any, of: str, other: Any, than: str) -> ColumnElement[bool]:  # noqa: ANN401 - collections of columns
    """Whether one stamp comes after another: by the clock, then by the site's number."""
    at, by, other_at, other_by = one[f"{of}_at"], one[f"{of}_by"], other[f"{than}_at"], other[f"{than}_by"]
    return or_(at > other_at, and_(at == other_at, by > other_by))


def _named(value: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    return value.label(quoted_name(name, quote=True))


def _at(name: str) -> Column[int]:
    return Column(f"{name}_at", BigInteger, nullable=False, server_default=_NEVER)


def _stamp(name: str) -> Sequence[Column[int]]:
    return _at(name), Column(f"{name}_by", BigInteger, nullable=False, server_default="0")
