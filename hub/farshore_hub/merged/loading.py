"""Many rows of a merged table, written at once: what differs from what is there becomes changes of the hub.

All in the caller's transaction: who queries the table sees the rows as they were, or as they are to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from farshore_hub.merge import edits
from farshore_hub.merge.edits import BadEdit
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Policy
from farshore_hub.merge.sets import array_of, elements_of
from farshore_hub.merge.statements import HUB, NEVER
from farshore_hub.merge.types import plain_value
from farshore_hub.merged.row import By
from farshore_hub.merged.table import OpenTable, Origin
from farshore_hub.merged.views import LoadedView
from farshore_hub.store import merge as store
from farshore_hub.texts import exact_json
from farshore_protocol.changes import Op

MAX_ROWS: Final = 50_000
"""So many at most; on SQLite the accept path waits for the transaction, some seconds with these."""

_PIECE: Final = 2_000
_LOOKED_UP: Final = 300
"""Keys of one query."""


@dataclass(slots=True)
class _Wanted:
    """A row as it is to be: its key and cells by name."""

    key: dict[str, Any]
    cells: dict[str, Any]


@dataclass(slots=True)
class _Changes:
    """What has to change, in the order of the rows; `latest` is the last stamp of all that they have."""

    said: list[tuple[Op, Mapping[str, Any], Mapping[str, Any], Mapping[str, int]]] = field(default_factory=list)
    latest: int = NEVER
    unchanged: int = 0

    def count(self, op: Op) -> int:
        return sum(each[0] is op for each in self.said)


def load(
    connection: Connection, table: OpenTable, rows: Iterable[Mapping[str, Any]], by: By, now_us: int, *, replace: bool
) -> LoadedView:
    """Write rows, each with its key and some cells by the names of their columns.

    Args:
        connection: of the transaction.
        table: that is written to.
        rows: as they are to be; what one does not name stays.
        by: who does it.
        now_us: the hub's clock.
        replace: whether rows that are not among them are deleted.

    Raises:
        BadEdit: a row does not fit; nothing may be committed then.
    """
    store.number(connection, table.id, 0)  # nobody else merges into it from here on
    wanted = _read(rows, table)
    changes = _Changes()
    found = _every(connection, table) if replace else _those(connection, table, list(wanted))
    for key, row in found:
        changes.latest = max(changes.latest, *(value for name, value in row.items() if name.endswith("_at")))
        if (given := wanted.pop(key, None)) is not None:
            _compare(given, row, table, changes)
        elif row["is_present"]:
            changes.said.append((Op.DELETE, _key_told(key, table.layout), {}, {}))
    for given in wanted.values():
        _insert(given, table, changes)
    _merge(connection, table, changes, by, now_us)
    return LoadedView(
        added=changes.count(Op.INSERT),
        changed=changes.count(Op.UPDATE),
        deleted=changes.count(Op.DELETE),
        unchanged=changes.unchanged,
    )


def _read(rows: Iterable[Mapping[str, Any]], table: OpenTable) -> dict[tuple[Any, ...], _Wanted]:
    """The rows by their keys as the database holds them."""
    layout, policies = table.layout, table.statements.declared
    names = [each.name for each in layout.key]
    wanted: dict[tuple[Any, ...], _Wanted] = {}
    for number, row in enumerate(rows, 1):
        if number > MAX_ROWS:
            raise BadEdit(f"there are more than {MAX_ROWS} rows: load them in parts")
        try:
            if missing := [name for name in names if name not in row]:
                raise BadEdit(f"the key is missing: {', '.join(missing)}")
            key = edits.read_key([row[name] for name in names], layout)
            cells = {name: value for name, value in row.items() if name not in key}
            read = _Wanted(key, edits.read_cells(cells, layout, policies))
        except BadEdit as error:
            raise BadEdit(f"row {number}: {error}") from None
        stored = tuple(edits.stored_key(key, layout))
        if stored in wanted:
            raise BadEdit(f"row {number}: a row before it has the same key")
        wanted[stored] = read
    return wanted


_Found = Iterator[tuple[tuple[Any, ...], RowMapping]]


def _every(connection: Connection, table: OpenTable) -> _Found:
    query = table.statements.whole().execution_options(yield_per=_PIECE)
    for row in connection.execute(query).mappings():
        yield _key_of(row, table), row


def _those(connection: Connection, table: OpenTable, keys: Sequence[tuple[Any, ...]]) -> _Found:
    for start in range(0, len(keys), _LOOKED_UP):
        query = table.statements.whole(keys[start : start + _LOOKED_UP])
        for row in connection.execute(query).mappings():
            yield _key_of(row, table), row


def _key_of(row: RowMapping, table: OpenTable) -> tuple[Any, ...]:
    values = (row[name] for name in table.statements.keys)
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in values)


def _key_told(key: Sequence[Any], layout: Layout) -> dict[str, Any]:
    return {each.name: plain_value(value, each.type) for each, value in zip(layout.key, key, strict=True)}


def _compare(given: _Wanted, row: RowMapping, table: OpenTable, changes: _Changes) -> None:
    if not row["is_present"]:
        _insert(given, table, changes)
        return
    layout, policies = table.layout, table.statements.declared
    there = {
        each.name: plain_value(row[f"c{place}_shown"], each.type)
        for place, each in enumerate(layout.cells)
        if each.name in given.cells
    }
    sets = {each.name for each, policy in zip(layout.cells, policies, strict=True) if policy is Policy.SET}
    cells = {name: value for name, value in given.cells.items() if not _same(value, there[name], is_set=name in sets)}
    if cells:
        changes.said.append((Op.UPDATE, given.key, cells, edits.moved(cells, there, layout, policies)))
    else:
        changes.unchanged += 1


def _same(value: Any, there: Any, *, is_set: bool) -> bool:  # noqa: ANN401 - any value
    if is_set and value is not None and there is not None:
        return array_of(elements_of(value)) == array_of(elements_of(there))
    return type(value) is type(there) and bool(value == there)


def _insert(given: _Wanted, table: OpenTable, changes: _Changes) -> None:
    deltas = edits.moved(given.cells, {}, table.layout, table.statements.declared)
    changes.said.append((Op.INSERT, given.key, given.cells, deltas))


def _merge(connection: Connection, table: OpenTable, changes: _Changes, by: By, now_us: int) -> None:
    # Whoever writes a row has seen what is there.
    at = max(now_us, changes.latest + 1)
    said = [
        edits.said(op, table.layout, key, cells, at) | {"deltas": deltas} for op, key, cells, deltas in changes.said
    ]
    for start in range(0, len(said), _PIECE):
        piece = said[start : start + _PIECE]
        store.add_edits(connection, table.id, map(exact_json.dumps, piece), at, now_us, by.login, by.reason)
        unfit = table.merge(connection, piece, Origin(HUB, at), now_us)
        if unfit:
            raise BadEdit(next(iter(unfit.values())))
