"""Which values have lost, and to what: rows for the conflict ledger. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from farshore_hub.merge.layout import Layout
from farshore_hub.merge.policy import Deletes
from farshore_hub.merge.statements import NEVER, Statements
from farshore_hub.merge.types import shown


@dataclass(frozen=True, slots=True)
class Written:
    """A value that a site has written; `value` is JSON text, None for NULL."""

    value: str | None
    at: int
    by: int


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


def conflicts(statements: Statements, change: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Conflict]:
    """What loses when a staged change meets a merged row of other sites, which is a row of `Statements.contested`."""
    layout, key = statements.layout, _key(statements.layout, row)
    for place, column in enumerate(layout.cells):
        name, policy = f"c{place}", statements.policies[place]
        old = Written(shown(row[name], column.type), row[f"{name}_at"], row[f"{name}_by"])
        new = Written(shown(change[name], column.type), change[f"{name}_at"], change["by"])
        if change["deleted_at"] > NEVER:
            delete = Written(None, change["deleted_at"], change["by"])
            if old.at > NEVER and old.by != delete.by and old.value is not None and _stamp(delete) > _stamp(old):
                yield Conflict(key, column.name, "deleted", delete, old)
        elif new.at == NEVER:
            continue
        elif old.at > NEVER and old.by != new.by and old.value != new.value:
            kept, lost = (new, old) if row[f"{name}_wins"] else (old, new)
            yield Conflict(key, column.name, policy, kept, lost)
        else:
            delete = Written(None, row["deleted_at"], row["deleted_by"])
            gone = statements.deletes is Deletes.WIN or _stamp(delete) > _stamp(new)
            if delete.at > NEVER and delete.by != new.by and gone and change["present_at"] == NEVER:
                yield Conflict(key, column.name, "deleted", delete, new)


def _stamp(written: Written) -> tuple[int, int]:
    return written.at, written.by


def _key(layout: Layout, row: Mapping[str, Any]) -> str:
    parts = [shown(row[f"k{place}"], column.type) for place, column in enumerate(layout.key)]
    return json.dumps([json.loads(part) if part else None for part in parts], ensure_ascii=False)
