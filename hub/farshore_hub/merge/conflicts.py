"""Which values have lost, and to what: rows for the conflict ledger. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from farshore_hub.merge.changes import Passed
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.statements import NEVER, Statements
from farshore_hub.merge.types import shown

Parts = Mapping[tuple[int, int], Sequence[tuple[Any, int]]]
DELETED: Final = "deleted"
"""The rule that has decided where a row was deleted."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value that a site has written; `value` is JSON text, None for NULL."""

    value: str | None
    at: int
    by: int

    @property
    def stamp(self) -> tuple[int, int]:
        """What comes later has a greater one."""
        return self.at, self.by


@dataclass(frozen=True, slots=True)
class Conflict:
    """A value that has lost.

    Attributes:
        key: of the row, as a JSON list.
        column: its present name.
        policy: the rule that has decided.
        kept: what has won; its value is None as well when the row was deleted.
    """

    key: str
    column: str
    policy: str
    kept: Written
    lost: Written


def conflicts(
    statements: Statements,
    change: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    parts: Parts,
) -> Iterator[Conflict]:
    """What has lost where a staged change met a merged row: what it brought, and what was shown and no longer is.

    Args:
        statements: of the table.
        change: a row of `Staging.rows`.
        before: the merged row as it was, a row of `Statements.contested`.
        after: as it is now, a row of `Statements.settled`.
        parts: `Staging.parts`.
    """
    layout, key = statements.layout, key_text(statements.layout, before)
    deleted = Written(None, *_stamp(after, "deleted"))
    for place, (column, policy) in enumerate(zip(layout.cells, statements.policies, strict=True)):
        name = f"c{place}"
        old = Written(shown(before[name], column.type), *_stamp(before, name))
        new = Written(shown(change[name], column.type), change[f"{name}_at"], change["by"])
        now = Written(shown(after[f"{name}_shown"], column.type), *_stamp(after, name))
        # A row that nobody has inserted yet is not there either, but nothing of it is lost.
        is_gone = deleted.at > NEVER and (not after["is_present"] or now.stamp < deleted.stamp)
        was_there = before["is_present"] or before["deleted_at"] == NEVER
        candidates = [old] if was_there and old.stamp > _stamp(before, "deleted") else []
        if policy.has_losers:
            candidates.append(new)
            rule, kept = (DELETED, deleted) if is_gone else (str(policy), now)
            yield from _beaten(key, column.name, rule, kept, candidates)
            continue
        # What has become of a counter or set is lost as a whole, and what comes too late part by part.
        went = [each for each in candidates if is_gone or each.stamp < deleted.stamp]
        since = max(deleted.stamp, (after.get(f"{name}_since") or NEVER, NEVER))
        brought = [Written(shown(value, column.type), at, new.by) for value, at in parts.get((change["n"], place), ())]
        late = [each for each in brought if (is_gone or each.stamp < since) and each.by != deleted.by]
        for each in [*went, *late]:
            if each.value is not None:
                yield Conflict(key, column.name, DELETED, deleted, each)


def _beaten(key: str, column: str, rule: str, kept: Written, candidates: Iterable[Written]) -> Iterator[Conflict]:
    """Those that are not what is kept; a site that writes over its own value, or deletes it, has lost nothing."""
    for each in candidates:
        is_own = each.by == kept.by and (rule == DELETED or each.stamp <= kept.stamp)
        if kept.at > NEVER and each.at > NEVER and each.value != kept.value and not is_own:
            yield Conflict(key, column, rule, kept, each)


def passed_over(statements: Statements, passed: Passed) -> Conflict:
    """What has lost against another value of its own site."""
    column, row, name = statements.layout.cells[passed.place], passed.row, f"c{passed.place}"
    kept = Written(shown(passed.kept_value, column.type), passed.kept_at, row["by"])
    lost = Written(shown(row[name], column.type), row[f"{name}_at"], row["by"])
    return Conflict(key_text(statements.layout, row), column.name, statements.policies[passed.place], kept, lost)


def _stamp(row: Mapping[str, Any], name: str) -> tuple[int, int]:
    return row[f"{name}_at"], row[f"{name}_by"]


def key_text(layout: Layout, row: Mapping[str, Any]) -> str:
    """A row's key, as a JSON list."""
    parts = [shown(row[f"k{place}"], column.type) for place, column in enumerate(layout.key)]
    return json.dumps([json.loads(part) if part else None for part in parts], ensure_ascii=False)
