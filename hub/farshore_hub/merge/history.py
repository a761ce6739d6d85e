"""The history of a cell whose policy needs more than the last write, and the cell as it follows from that. Makes SQL.

Every change of such a cell is an entry, known by its batch and its place in that: entering it again changes nothing.
What the cell holds is a function of the entries of the row's present life, so the order in which they came does not
matter, and nothing of a former life comes back with a row. An entry that no late delete can bring back to bear, because
a later one has all that it has, is dropped.

A counter keeps all entries, and what it holds is their sum. So that a hot one is not summed anew with each merge, what
a piece adds is added to it (`add`) where that is the same: no row of its comes or goes, and all is after the latest
insert. A change that comes late, or again, and a row that is deleted or made are summed over the whole history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    MetaData,
    Select,
    SmallInteger,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    distinct,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from farshore_hub.merge.policy import Deletes, Policy
from farshore_hub.merge.sets import elements_of
from farshore_hub.merge.statements import HUB, NEVER, Statements
from farshore_hub.merge.types import C_TEXT, SQL, Type

BEGINNING: Final = -1
"""The batch of what stood in a cell before it had a history."""

_ADDED_TO: Final = 2**61
"""A sum beyond it is worked out anew: it may come to a bound of 64 bits, where the order of adding matters."""

_LOW_BITS: Final = 32
_LOW: Final = 2**_LOW_BITS - 1
_HIGHEST: Final = 2**31 - 1


class History:
    """Of one cell, known by its place.

    Attributes:
        entries: the table. `value` is what was written; of a counter, by how much it changed; of a set, an element, or
            NULL in the entry that stands for the array itself.
    """

    def __init__(self, table_id: int, statements: Statements, place: int) -> None:
        self._statements = statements
        self._name = f"c{place}"
        self._policy = statements.policies[place]
        self._type = statements.layout.cells[place].type
        layout = statements.layout
        keys = [Column(f"k{n}", SQL[each.type], primary_key=True, autoincrement=False)
                for n, each in enumerate(layout.key)]  # fmt: skip
        self.entries = Table(
            f"history_{table_id}_{place}",
            MetaData(),
            *keys,
            Column("batch", BigInteger, primary_key=True, autoincrement=False),
            Column("n", BigInteger, primary_key=True, autoincrement=False),
            Column("part", BigInteger, primary_key=True, autoincrement=False),
            Column("at", BigInteger, nullable=False),
            Column("by", BigInteger, nullable=False),
            Column("is_opening", SmallInteger, nullable=False),
            Column("value", C_TEXT if self._policy is Policy.SET else SQL[self._type]),
            sqlite_with_rowid=False,
        )

    def begin(self) -> Any:  # noqa: ANN401 - an Insert, which is generic in nothing that matters
        """Let the history begin with what stands in the merged table."""
        values = {**self._standing(), "value": self._statements.merged.c[self._name]}
        found = select(*(value.label(name) for name, value in values.items())).where(self._is_written())
        return insert(self.entries).from_select(list(values), found)

    def cells(self) -> Select[Any]:
        """The same for a set, whose elements `members` finds in the rows."""
        value = self._statements.merged.c[self._name].label("value")
        found = select(*(each.label(name) for name, each in self._standing().items()), value)
        return found.where(self._is_written(), value.is_not(None))

    def members(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Entries for rows of `cells`; what is no array counts for nothing."""
        for row in rows:
            try:
                text = json.loads(row["value"]) if self._type is Type.ANY else row["value"]
                elements = elements_of(text)
            except ValueError:
                continue
            for part, element in enumerate([None, *elements]):
                yield {**row, "part": part, "value": element}

    def _standing(self) -> dict[str, ColumnElement[Any]]:
        merged, name = self._statements.merged.c, self._name
        at, by = merged[f"{name}_at"], merged[f"{name}_by"]
        is_opening = case((and_(at == merged.present_at, by == merged.present_by), 1), else_=0)
        numbers = {"batch": literal(BEGINNING), "n": literal(0), "part": literal(0)}
        return {**{key: merged[key] for key in self._keys}, **numbers, "at": at, "by": by, "is_opening": is_opening}

    def _is_written(self) -> ColumnElement[bool]:
        return self._statements.merged.c[f"{self._name}_at"] > NEVER

    def prune(self) -> Any:  # noqa: ANN401 - a Delete, which is generic in nothing that matters
        """Drop entries of the staged rows that can never count again; None if each may.

        Inserts stay: a life of the row begins with one.
        """
        one, newer = self.entries, self.entries.alias("newer")
        beaten = self._beaten(one.c, newer.c)
        if beaten is None:
            return None
        by_newer = select(literal(1)).where(self._joins(newer.c, one.c), _later(newer.c, one.c), beaten)
        staged = self._statements.staged
        touched = tuple_(*(one.c[key] for key in self._keys)).in_(
            select(*(staged.c[key] for key in self._keys)).where(self._is_touched())
        )
        return delete(one).where(touched, one.c.is_opening == 0, by_newer.correlate(one).exists())

    def entered(self) -> Select[Any]:
        """Whether something of the piece is among the entries already: it is merged again. Matters before `add`.

        Its parameters, as those of `add` and of `settle` after it: the `batch`, and the numbers `first` and `last` of
        its entries.
        """
        staged, one = self._statements.staged, self.entries
        found = select(literal(1)).select_from(staged.join(one, self._joins(staged.c, one.c)))
        return found.where(self._is_of_piece(one.c)).limit(1)

    def add(self) -> Update | None:
        """Add what the piece has entered to sums that have only to be added to; None where the cell is no sum."""
        if self._policy is not Policy.SUM:
            return None
        merged, name, added = self._statements.merged, self._name, self._added()
        at, by = merged.c[f"{name}_at"], merged.c[f"{name}_by"]
        is_later = or_(added.c.last_at > at, and_(added.c.last_at == at, added.c.by > by))
        moved = case((added.c.value.is_(None), merged.c[name]), else_=func.coalesce(merged.c[name], 0) + added.c.value)
        new = {
            name: moved.cast(BigInteger),
            f"{name}_at": case((is_later, added.c.last_at), else_=at),
            f"{name}_by": case((is_later, added.c.by), else_=by),
        }
        return update(merged).values(new).where(self._joins(merged.c, added.c), self._is_added_to(added.c))

    def _added(self) -> Any:  # noqa: ANN401 - a subquery
        """What the piece has entered, by row. All of a piece is by one site."""
        staged, one = self._statements.staged, self.entries
        keys = [staged.c[key] for key in self._keys]
        found = select(
            *keys,
            staged.c.n,
            func.sum(one.c.value).cast(BigInteger).label("value"),
            func.min(one.c.at).label("first_at"),
            func.max(one.c.at).label("last_at"),
            func.max(one.c.by).label("by"),
        )
        found = found.select_from(staged.join(one, self._joins(staged.c, one.c)))
        found = found.where(self._is_of_piece(one.c), not_(self._comes_or_goes()))
        return found.group_by(*keys, staged.c.n).subquery("added")

    def _not_added_to(self) -> Select[Any]:
        """The staged rows whose sums `add` has left alone, though something was entered."""
        merged, added = self._statements.merged, self._added()
        found = select(added.c.n).select_from(added.join(merged, self._joins(added.c, merged.c)))
        return found.where(not_(self._is_added_to(added.c)))

    def _is_of_piece(self, entry: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a collection of columns
        first, last = bindparam("first", type_=BigInteger), bindparam("last", type_=BigInteger)
        return and_(entry.batch == bindparam("batch", type_=BigInteger), entry.n.between(first, last))

    def _is_added_to(self, added: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a collection of columns
        """Whether what was added is a part of the row's present life in any case, and the sum far from its bounds."""
        merged = self._statements.merged.c
        sum_ = func.coalesce(merged[self._name], 0)
        is_there = and_(merged.present_at > merged.deleted_at, added.first_at > merged.present_at)
        return and_(is_there, sum_ < _ADDED_TO, sum_ > -_ADDED_TO)

    def forget(self) -> Any:  # noqa: ANN401 - a Delete, which is generic in nothing that matters
        """Drop all entries of the staged rows, which are gone."""
        staged = self._statements.staged
        keys = tuple_(*(self.entries.c[key] for key in self._keys))
        return delete(self.entries).where(keys.in_(select(*(staged.c[key] for key in self._keys))))

    def settle(self, dialect: str, *, after_adding: bool = False) -> Update:
        """Work out the cell in the rows that are staged; or in those of them where `add` has not."""
        winner, name = self._winner(), self._name
        merged, staged = self._statements.merged, self._statements.staged
        columns: dict[str, ColumnElement[Any]] = {
            name: winner.c.value,
            f"{name}_at": func.coalesce(winner.c.at, NEVER),
            f"{name}_by": func.coalesce(winner.c.by, HUB),
        }
        joined: FromClause = staged.outerjoin(winner, self._joins(staged.c, winner.c))
        if self._policy in {Policy.SUM, Policy.SET}:
            whole = self._total() if self._policy is Policy.SUM else self._union(dialect)
            joined = joined.outerjoin(whole, self._joins(staged.c, whole.c))
            columns[name] = whole.c.value
        if self._policy is Policy.MANUAL:
            competing = self._competing()
            joined = joined.outerjoin(competing, self._joins(staged.c, competing.c))
            columns[f"{name}_open"] = func.coalesce(competing.c.value, 0)
        found = select(*(staged.c[key] for key in self._keys), *(value.label(each) for each, value in columns.items()))
        found = found.select_from(joined).where(self._is_touched())
        if after_adding:
            found = found.where(or_(self._comes_or_goes(), staged.c.n.in_(self._not_added_to())))
        new = found.subquery("settled")
        return update(merged).values({each: new.c[each] for each in columns}).where(self._joins(merged.c, new.c))

    def _comes_or_goes(self) -> ColumnElement[bool]:
        """Whether a staged row is inserted or deleted."""
        staged = self._statements.staged.c
        return or_(staged.present_at > NEVER, staged.deleted_at > NEVER)

    def _is_touched(self) -> ColumnElement[bool]:
        """Whether the cell of a staged row can be another one than before."""
        return or_(self._statements.staged.c[f"{self._name}_at"] > NEVER, self._comes_or_goes())

    @property
    def _keys(self) -> list[str]:
        return self._statements.keys

    def _joins(self, one: Any, other: Any) -> ColumnElement[bool]:  # noqa: ANN401 - collections of columns
        return and_(*(one[key] == other[key] for key in self._keys))

    def _beaten(self, one: Any, newer: Any) -> ColumnElement[bool] | None:  # noqa: ANN401 - collections of columns
        """Whether a later entry has all that an earlier one has, whatever life of the row begins when."""
        if self._policy in {Policy.HUB, Policy.SITE, Policy.MANUAL}:
            return and_(newer.by == one.by)
        if self._policy is Policy.SET:
            same_element = newer.value == one.value
            return or_(same_element, and_(newer.value.is_(None), one.value.is_(None), newer.by == one.by))
        if self._policy is Policy.MAX:
            return or_(one.value.is_(None), newer.value >= one.value)
        if self._policy is Policy.MIN:
            return or_(one.value.is_(None), newer.value <= one.value)
        return None

    def _live(self) -> Select[Any]:
        """The entries of the present lives of the staged rows."""
        merged, staged, one = self._statements.merged, self._statements.staged, self.entries
        joined = staged.join(one, self._joins(staged.c, one.c)).join(merged, self._joins(merged.c, one.c))
        alive = [or_(one.c.at > merged.c.deleted_at,
                     and_(one.c.at == merged.c.deleted_at, one.c.by > merged.c.deleted_by))]  # fmt: skip
        if self._statements.deletes is Deletes.WIN:
            alive.append(or_(merged.c.deleted_at == NEVER, one.c.at >= func.coalesce(self.opened(), NEVER)))
        if self._policy.is_replaced_by_hub:
            alive.append(one.c.at >= func.coalesce(self._replaced(), NEVER))
        return select(*one.columns).select_from(joined).where(self._is_touched(), *alive)

    def opened(self) -> Any:  # noqa: ANN401 - a scalar subquery
        """When the first insert after the row's delete was: what came between them belongs to no life."""
        merged, opening = self._statements.merged, self.entries.alias("opening")
        after = or_(opening.c.at > merged.c.deleted_at,
                    and_(opening.c.at == merged.c.deleted_at, opening.c.by > merged.c.deleted_by))  # fmt: skip
        found = select(func.min(opening.c.at)).where(self._joins(opening.c, merged.c), opening.c.is_opening == 1, after)
        return found.correlate(merged).scalar_subquery()

    def _replaced(self) -> Any:  # noqa: ANN401 - a scalar subquery
        """When the hub wrote the cell: that takes the place of all before."""
        merged, hubs = self._statements.merged, self.entries.alias("hubs")
        found = select(func.max(hubs.c.at)).where(self._joins(hubs.c, merged.c), hubs.c.by == HUB)
        return found.correlate(merged).scalar_subquery()

    def _winner(self) -> Any:  # noqa: ANN401 - a subquery
        """One live entry of each row: the one that stands, or of a sum or set the latest."""
        live = self._live().subquery("live")
        place = func.row_number().over(partition_by=[live.c[key] for key in self._keys], order_by=self._order(live.c))
        ranked = select(*live.columns, place.label("place")).subquery("ranked")
        return select(*ranked.columns).where(ranked.c.place == 1).subquery("winner")

    def _order(self, entry: Any) -> list[Any]:  # noqa: ANN401 - a collection of columns
        latest = [entry.at.desc(), entry.by.desc(), entry.batch.desc(), entry.n.desc()]
        if self._policy is Policy.FIRST_WRITE:
            return [entry.at, entry.by, entry.batch, entry.n]
        if self._policy in {Policy.HUB, Policy.SITE}:
            is_hub = case((entry.by == HUB, 0 if self._policy is Policy.HUB else 1),
                          else_=1 if self._policy is Policy.HUB else 0)  # fmt: skip
            return [is_hub, *latest]
        if self._policy in {Policy.MAX, Policy.MIN}:
            best = entry.value.desc() if self._policy is Policy.MAX else entry.value
            return [case((entry.value.is_(None), 1), else_=0), best, *latest]
        return latest

    def _grouped(self, live: Any) -> list[Any]:  # noqa: ANN401 - a subquery
        return [live.c[key] for key in self._keys]

    def _total(self) -> Any:  # noqa: ANN401 - a subquery
        """The sum, in two halves, so that no order of adding can overflow; it stays within 64 bits."""
        live = self._live().subquery("added")
        high = func.sum(live.c.value.op(">>")(literal(_LOW_BITS, Integer))).cast(BigInteger)
        low = func.sum(live.c.value.op("&")(literal(_LOW, BigInteger))).cast(BigInteger)
        halves = select(*self._grouped(live), high.label("high"), low.label("low"))
        each = halves.group_by(*self._grouped(live)).subquery("halves")
        carried = each.c.high + each.c.low.op(">>")(literal(_LOW_BITS, Integer))
        rest = each.c.low.op("&")(literal(_LOW, BigInteger))
        total = case(
            (each.c.high.is_(None), None),
            (carried > _HIGHEST, literal(2**63 - 1, BigInteger)),
            (carried < -_HIGHEST, literal(-(2**63 - 1), BigInteger)),
            else_=carried * literal(2**_LOW_BITS, BigInteger) + rest,
        )
        return select(*(each.c[key] for key in self._keys), total.label("value")).subquery("total")

    def _union(self, dialect: str) -> Any:  # noqa: ANN401 - a subquery
        """The array of all elements, in the order of their texts."""
        live = self._live().subquery("members")
        keys = self._grouped(live)
        elements = select(*keys, live.c.value).distinct().subquery("elements")
        value = elements.c.value
        if dialect == "postgresql":
            listed: ColumnElement[Any] = func.string_agg(value, aggregate_order_by(literal(","), value))
        else:
            listed = literal_column("group_concat(elements.value, ',' ORDER BY elements.value)")
        array = literal("[").concat(func.coalesce(listed, "")).concat("]")
        if self._type is Type.ANY:
            # A text in a column that holds anything stands there as JSON.
            quoted = func.replace(func.replace(array, "\\", "\\\\"), '"', '\\"')
            array = literal('"').concat(quoted).concat('"')
        grouped = [elements.c[key] for key in self._keys]
        return select(*grouped, array.label("value")).group_by(*grouped).subquery("union")

    def _competing(self) -> Any:  # noqa: ANN401 - a subquery
        """Whether sites have written different values since the hub last wrote the cell."""
        live = self._live().where(self.entries.c.by != HUB).subquery("candidates")
        keys, latest = self._grouped(live), self._order(live.c)
        place = func.row_number().over(partition_by=[*keys, live.c.by], order_by=latest).label("place")
        last = select(*keys, live.c.value, place).subquery("last")
        with_null = case((func.count() > func.count(last.c.value), 1), else_=0)
        several = case((func.count(distinct(last.c.value)) + with_null > 1, 1), else_=0)
        grouped = [last.c[key] for key in self._keys]
        found = select(*grouped, several.label("value")).where(last.c.place == 1)
        return found.group_by(*grouped).subquery("competing")


def _later(one: Any, other: Any) -> ColumnElement[bool]:  # noqa: ANN401 - collections of columns
    """Whether one entry comes after another."""
    return or_(one.at > other.at, and_(one.at == other.at, one.by > other.by))
