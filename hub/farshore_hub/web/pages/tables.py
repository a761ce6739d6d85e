"""The pages of merged tables: what is in them, what has lost, what does not fit, and what may be done about it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from farshore_hub.errors import Invalid
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.sessions import Session
from farshore_hub.merge.conflicts import DELETED
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.mapping import MapKind
from farshore_hub.merge.policy import Policy
from farshore_hub.merge.types import Type
from farshore_hub.merged.row import By
from farshore_hub.store.merge import LOST, MERGED, OPEN, RESOLVED, UNDONE, WAITING, AskedConflicts
from farshore_hub.store.misfits import AskedMisfits
from farshore_hub.watch.desk import MAX_ID
from farshore_hub.web.pages.address import page_of
from farshore_hub.web.pages.render import page
from farshore_hub.web.pages.route import Page, PageRoute, frame, seen_other
from farshore_hub.web.pages.signing import Operating, Viewing, read_deed
from farshore_hub.web.services import Hub
from farshore_protocol.limits import MAX_NAME_CHARS

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)

URL: Final = "/tables"
ROWS: Final = 100
_MAX_CHARS: Final = 1000
_STATES: Final = (OPEN, LOST, RESOLVED, UNDONE)
_POLICIES: Final = (*map(str, Policy), DELETED)

Name = Annotated[str, Path(max_length=MAX_NAME_CHARS)]
Number = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.get(URL)
async def get_tables(session: Viewing, pages: Page, hub: Hub) -> HTMLResponse:
    """All of them."""
    found = await pages.reading.shared.get("tables", lambda: hub.run_long(hub.tables.tables))
    return page("tables.html", tables=found, **frame(session, current=URL))


@router.get("/tables/{name}")
async def get_table(request: Request, name: Name, session: Viewing, hub: Hub) -> HTMLResponse:
    """Rows of one, searched by their key."""
    search, number = _text(request, "search"), page_of(request.query_params)
    start = (number - 1) * ROWS
    layout = await hub.run(lambda: hub.tables.layout(name))
    rows = await hub.run_long(lambda: hub.tables.page(name, search, start, ROWS + 1))
    at = {"search": search} if search else {}
    return page(
        "table.html",
        name=name,
        url=_table_url(name),
        layout=layout,
        rows=[(row, _row_url(name, layout, row)) for row in rows[:ROWS]],
        search=search,
        first=start + 1,
        before=f"?{urlencode({**at, 'page': number - 1})}" if number > 1 else None,
        after=f"?{urlencode({**at, 'page': number + 1})}" if len(rows) > ROWS else None,
        **frame(session, current=URL),
    )


@router.get("/tables/{name}/row")
async def get_row(request: Request, name: Name, session: Viewing, hub: Hub) -> HTMLResponse:
    """One row: who wrote what, and what has lost in it."""
    key = _text(request, "key")
    cells = await hub.run(lambda: hub.tables.row(name, _key(key)))
    asked = AskedConflicts(table=name, key=json.dumps(_key(key), ensure_ascii=False))
    lost = await hub.run_long(lambda: hub.tables.conflicts(asked))
    said = frame(session, current=URL)
    return page("table_row.html", name=name, url=_table_url(name), key=key, cells=cells, conflicts=lost, **said)


@router.get("/conflicts")
async def get_conflicts(request: Request, session: Viewing, hub: Hub) -> HTMLResponse:
    """Values that have lost, as the URL asks for them."""
    filters = {each: _text(request, each) for each in ("table", "site", "column", "policy", "state")}
    before = _text(request, "before")
    if not before.isdecimal() and before:
        raise Invalid("before is the number of a conflict")
    older = int(before[:18]) if before else None
    asked = replace(AskedConflicts(**filters), before=older, limit=ROWS + 1)  # type: ignore[arg-type]  # texts only
    found = await hub.run_long(lambda: hub.tables.conflicts(asked))
    kept = {name: value for name, value in filters.items() if value}
    more = f"?{urlencode({**kept, 'before': found[ROWS - 1].id})}" if len(found) > ROWS else None
    choices = {"state": _STATES, "policy": _POLICIES}
    said = frame(session, current=URL)
    return page("conflicts.html", conflicts=found[:ROWS], asked=filters, choices=choices, after=more, **said)


@router.get("/conflicts/{number}")
async def get_conflict(number: Number, session: Viewing, hub: Hub) -> HTMLResponse:
    """One of them, with what may be done."""
    found = await hub.run(lambda: hub.tables.conflict(number))
    row_url = f"{_table_url(found.table)}/row?{urlencode({'key': found.key})}"
    return page("conflict.html", one=found, row_url=row_url, **_doing(session))


@router.post("/conflicts/{number}/undo")
async def post_undo(request: Request, number: Number, hub: Hub, session: Operating) -> Response:
    """Put the value back."""
    fields = await read_deed(request, hub, session)
    await hub.run_long(lambda: hub.tables.undo(number, By(session.name, fields.get("reason", ""))))
    return seen_other(f"/conflicts/{number}")


@router.post("/conflicts/{number}/resolve")
async def post_resolution(request: Request, number: Number, hub: Hub, session: Operating) -> Response:
    """Decide what stands: what is written in the form, or what stands now."""
    fields = await read_deed(request, hub, session)
    given = [_json(fields["value"])] if fields.get("value", "").strip() else []
    await hub.run_long(lambda: hub.tables.resolve(number, By(session.name, fields.get("reason", "")), *given))
    return seen_other(f"/conflicts/{number}")


@router.get("/misfits")
async def get_misfits(request: Request, session: Viewing, hub: Hub) -> HTMLResponse:
    """Changes that do not fit, and what was declared for them."""
    table, state = _text(request, "table"), _text(request, "state") or WAITING
    asked = AskedMisfits(table, state=state, limit=ROWS)
    found = await hub.run_long(lambda: hub.tables.misfits.listed(asked))
    mapped = await hub.run(lambda: hub.tables.misfits.mappings(table)) if table else []
    return page(
        "misfits.html",
        table=table,
        state=state,
        states=(WAITING, MERGED),
        misfits=[(each, json.dumps(each.change.get("cells") or {}, ensure_ascii=False)) for each in found],
        mappings=mapped,
        kinds=list(MapKind),
        **_doing(session),
    )


@router.post("/tables/{name}/map")
async def post_mapping(request: Request, name: Name, hub: Hub, session: Operating) -> Response:
    """Declare what becomes of values that do not fit."""
    fields = await read_deed(request, hub, session)
    kind, to = _kind(fields.get("kind", "")), fields.get("to", "").strip()
    told: Any = _json(to) if kind is MapKind.DEFAULT else to
    by = By(session.name, fields.get("reason", ""))
    desk, column = hub.tables.misfits, fields.get("column", "").strip()
    await hub.run_long(lambda: desk.declare(name, column, kind, told, by))
    return seen_other(f"/misfits?{urlencode({'table': name})}")


def _doing(session: Session) -> dict[str, Any]:
    return {"may": session.role.covers(Role.OPERATOR), **frame(session, current=URL)}


def _table_url(name: str) -> str:
    return f"{URL}/{quote(name, safe='')}"


def _row_url(name: str, layout: Layout, row: dict[str, Any]) -> str | None:
    """Where a row's page is; a key of bytes cannot be named in a URL."""
    if any(each.type is Type.BYTES for each in layout.key):
        return None
    key = [json.loads(row[each.name]) if each.type is Type.ANY else row[each.name] for each in layout.key]
    return f"{_table_url(name)}/row?{urlencode({'key': json.dumps(key, ensure_ascii=False)})}"


def _text(request: Request, name: str) -> str:
    text = request.query_params.get(name, "").strip()
    if len(text) > _MAX_CHARS or "\0" in text:
        raise Invalid(f"{name} has at most {_MAX_CHARS} characters, and no NUL")
    return text


def _key(text: str) -> list[Any]:
    read = _json(text)
    if not isinstance(read, list):
        raise Invalid("the key of a row is a JSON list")
    return read


def _json(text: str) -> Any:  # noqa: ANN401 - any value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid(f"{text[:80]!r} is not JSON", remedy='a text is written with quotes, as in "M"') from None


def _kind(text: str) -> MapKind:
    try:
        return MapKind(text)
    except ValueError:
        raise Invalid(f"{text[:40]!r} is not one of {', '.join(MapKind)}") from None
