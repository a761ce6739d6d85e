"""What people and scripts are shown of merged tables: the same JSON from the API and from the commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, Field

from farshore_hub.merge.mapping import MapKind
from farshore_hub.merge.types import Type
from farshore_hub.texts.shown import TimeUs, View


class ColumnView(BaseModel):
    """A column of a merged table."""

    name: str
    type: Type
    key: bool = Field(description="whether it is a part of the key")
    policy: str | None = Field(description="which of two writes wins; null for the key")


class CellView(BaseModel):
    """A cell of a row as it stands."""

    column: str
    value: str | None = Field(description="JSON text; null for NULL")
    at_us: TimeUs = Field(description="when it was written; null for never")
    site: str | None = Field(description="by whom; null: the hub")
    is_there: bool = Field(description="whether the row is")


class TableView(BaseModel):
    """A merged table, and how much was merged into it."""

    name: str
    view: str = Field(description="the name of the view in the hub's database that shows it")
    columns: list[ColumnView]
    sites: int = Field(description="that have changed it")
    batches: int
    conflicts: int
    open: int = Field(description="conflicts that somebody has to resolve")
    misfits: int = Field(description="changes that wait because they do not fit")


class LoadedView(BaseModel):
    """What became of rows that were loaded."""

    added: int
    changed: int
    deleted: int
    unchanged: int


class WrittenView(BaseModel):
    """A value that was written to a cell."""

    value: str | None = Field(description="JSON text; null for NULL")
    at_us: int = Field(description="when, in microseconds since 1970, as far as the writer's clock is believed")
    site: str | None = Field(description="by whom; null: the hub")


class ConflictView(BaseModel):
    """A value that has lost."""

    id: int
    table: str
    key: str = Field(description="of the row, as a JSON list")
    column: str
    policy: str = Field(description="the rule that has decided; deleted: the row was")
    reason: str = Field(description="why, in words")
    state: str = Field(description="lost; open: somebody has to resolve it; resolved; undone")
    kept: WrittenView
    lost: WrittenView
    found_us: int
    edit: int | None = Field(description="the number of the edit that has settled it")


_REASONS: Final = {
    "deleted": "the row was deleted",
    "last-write": "the other one was written later",
    "first-write": "the other one was written first",
    "max": "the other one is greater",
    "min": "the other one is less",
    "hub": "the hub wins over sites, and what was written later over what was before",
    "site": "sites win over the hub, and what was written later over what was before",
    "manual": "the other one was written later; somebody has to decide",
}


def conflict_view(row: Mapping[str, Any]) -> ConflictView:
    """An entry of the conflict ledger, with the reason in words."""
    return ConflictView.model_validate({**row, "reason": _REASONS.get(row["policy"], row["policy"])})


class EditView(View):
    """What somebody changed at the hub."""

    id: int
    op: str
    key: list[Any]
    cells: dict[str, Any]
    at_us: int = Field(description="its stamp")
    made_us: int
    made_by: str
    reason: str


class EditedView(BaseModel):
    """What has become of an edit."""

    edit: int = Field(description="its number")
    row: dict[str, Any] | None = Field(description="the row as it is now; null if there is none")


class MisfitView(BaseModel):
    """A change that its table cannot take in, or could not until somebody said what it means."""

    id: str = Field(description="BATCH-PLACE: the number of the batch that it came with, and its place in that")
    table: str
    site: str
    state: str = Field(description="waiting; merged: after a declaration it fitted")
    why: str = Field(description="what does not fit")
    change: dict[str, Any] = Field(description="as the site said it; bytes as an object with $bytes in base64")
    found_us: int
    settled_us: int | None = Field(description="when it was merged")


class MappingView(View):
    """What somebody declared for values that do not fit."""

    column: str
    kind: MapKind
    to: str = Field(description="of a rename the other column, of a default the value as JSON")
    made_us: int
    made_by: str
    reason: str


class TriedView(BaseModel):
    """What has come of trying misfits once more."""

    merged: int
    waiting: int = Field(description="those that do not fit still")


def misfit_view(row: Any) -> MisfitView:  # noqa: ANN401 - a row with the columns of `asked_misfits`
    """A misfit with the change as JSON has it."""
    return MisfitView(
        id=f"{row.batch_id}-{row.place}",
        table=row.table,
        site=row.site,
        state=row.state,
        why=row.why,
        change=json.loads(row.change),
        found_us=row.found_us,
        settled_us=row.settled_us,
    )
