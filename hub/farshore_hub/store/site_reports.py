"""SQL of the sites' reports on their orders: the newest of each site, and who it introduced itself as.

A report is taken once and never set back: an older one, which somebody held up or sent again, changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, select, update

from farshore_hub.store import orders, rollouts
from farshore_hub.store.dialect import upsert
from farshore_hub.store.orders import Ending, OrderKind
from farshore_hub.store.schema import site_reports, sites
from farshore_protocol import wire
from farshore_protocol.enrolment import HubKey
from farshore_protocol.orders import Outcome, Report

_HUB_KEY: Final = wire.decoder_of(HubKey)
_MAX_KEY_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The newest report of a site. Times are microseconds since 1970.

    Attributes:
        running: number of the order whose settings are in force; 0: the site's own file; None: it did not say.
        latest, outcome, problems: the newest settings that came to it, and what became of them.
        schema: digest of the schema of its settings.
        sealing_key: what its orders are sealed to; None until it has introduced itself.
        settings_schema: JSON Schema, compressed.
        accepts: what it lets the hub change.
        is_introduced: what it introduced itself with is what it is now.
    """

    site_id: int
    number: int
    at_us: int
    received_us: int
    agent_version: str
    running: int | None
    latest: int | None
    outcome: Outcome | None
    problems: list[str]
    command: int | None
    schema: bytes
    sealing_key: HubKey | None
    settings_schema: bytes | None
    accepts: list[str]
    is_introduced: bool


def take(connection: Connection, reports: Sequence[tuple[int, Report]], now_us: int) -> dict[int, int]:
    """Take reports of sites, given by id, which the caller has checked and whose sites it has locked.

    Returns:
        By site what to answer as `heard`: the number of its newest report, or 0 where it is to introduce itself.
    """
    known = find(connection, {site_id for site_id, _ in reports})
    heard: dict[int, int] = {}
    for site_id, report in reports:
        before = known.get(site_id)
        if before is None or report.number > before.number:
            known[site_id] = before = _save(connection, site_id, report, now_us)
            _settle(connection, site_id, report, now_us)
        heard[site_id] = before.number if before.is_introduced else 0
    orders.refresh(connection, heard)
    for site_id, number in heard.items():
        connection.execute(update(sites).where(sites.c.id == site_id).values(heard=number))
    return heard


def find(connection: Connection, site_ids: Iterable[int]) -> dict[int, ReportRow]:
    """The newest reports of these sites, of those that have reported."""
    wanted = sorted(set(site_ids))
    found: dict[int, ReportRow] = {}
    for at in range(0, len(wanted), 500):
        query = select(site_reports).where(site_reports.c.site_id.in_(wanted[at : at + 500]))
        found |= {row.site_id: _row(row._asdict()) for row in connection.execute(query)}
    return found


def all_of_them(connection: Connection) -> dict[int, ReportRow]:
    """The newest report of every site that has reported."""
    return {row.site_id: _row(row._asdict()) for row in connection.execute(select(site_reports))}


def forget(connection: Connection, site_id: int, now_us: int) -> None:
    """Forget a site's reports, because it joins anew: it has other keys, counts anew, and introduces itself again."""
    connection.execute(delete(site_reports).where(site_reports.c.site_id == site_id))
    connection.execute(update(sites).where(sites.c.id == site_id).values(heard=0))
    orders.lose(connection, site_id, now_us)
    rollouts.wait_again(connection, site_id)


def _save(connection: Connection, site_id: int, report: Report, now_us: int) -> ReportRow:
    settings, introduction = report.settings, report.introduction
    row: dict[str, Any] = {
        "site_id": site_id,
        "number": report.number,
        "at_us": report.at_us,
        "received_us": now_us,
        "agent_version": _text(report.agent_version),
        "running": settings.running if settings else None,
        "latest": settings.latest if settings else None,
        "outcome": settings.outcome.value if settings else None,
        "problems": json.dumps([_text(each) for each in settings.problems] if settings else []),
        "schema": report.schema,
    }
    if report.command is not None:
        row["command"] = report.command.number  # what was heard is not said again
    if introduction is not None:
        row |= {
            "introduced": report.schema,
            "settings_schema": introduction.schema,
            "sealing_key": wire.pack(introduction.sealing_key),
            "accepts": json.dumps([_text(each) for each in introduction.accepts]),
        }
    upsert(connection, site_reports, [row], [name for name in row if name != "site_id"])
    [saved] = find(connection, [site_id]).values()
    return saved


def _settle(connection: Connection, site_id: int, report: Report, now_us: int) -> None:
    latest = report.settings.latest if report.settings else 0
    given = orders.highest_numbers(connection, [site_id], OrderKind.SETTINGS).get(site_id, 0)
    if latest > given or latest < orders.highest_taken(connection, site_id):
        # One of the two was restored from a backup: it is ordered anew, with a higher number.
        rollouts.wait_again(connection, site_id)
    orders.lose_older(connection, site_id, OrderKind.SETTINGS, latest, now_us)
    orders.lose_trials(connection, site_id, latest, now_us)
    if report.command:
        orders.lose_older(connection, site_id, OrderKind.COMMAND, report.command.number, now_us)
    if report.settings:
        told = report.settings
        text = "; ".join(_text(each) for each in told.problems)
        orders.settle_settings(connection, site_id, told.latest, told.outcome.value, text, now_us)
    if report.command:
        answer = report.command
        ending = Ending.DONE if answer.done else Ending.FAILED
        orders.settle_command(connection, site_id, answer.number, ending, _text(answer.text), answer.data, now_us)


def _row(values: dict[str, Any]) -> ReportRow:
    key, introduced = values.pop("sealing_key"), values.pop("introduced")
    schema, settings_schema = bytes(values.pop("schema")), values.pop("settings_schema")
    sealing_key = None
    if key is not None:
        sealing_key = wire.unpack(_HUB_KEY, bytes(key), what="stored key", max_bytes=_MAX_KEY_BYTES)
    values |= {
        "outcome": Outcome(values["outcome"]) if values["outcome"] else None,
        "problems": json.loads(values["problems"]),
        "accepts": json.loads(values["accepts"]),
    }
    return ReportRow(
        **values,
        schema=schema,
        sealing_key=sealing_key,
        settings_schema=None if settings_schema is None else bytes(settings_schema),
        is_introduced=introduced is not None and bytes(introduced) == schema,
    )


def _text(text: str) -> str:
    """A text that both databases can hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
