"""The whole examination, in the order in which one thing stands on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from farshore_hub import settings
from farshore_hub.doctor.database import (
    about_batch,
    damaged_batches,
    look_at_ledger,
    look_at_library,
    look_at_pages,
    repair,
)
from farshore_hub.doctor.lake import look_at_lake
from farshore_hub.doctor.place import look_at_folder, look_at_keys, look_at_port
from farshore_hub.errors import NotReady
from farshore_hub.fleet import sites
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.lake.files.opening import lake_of
from farshore_hub.lake.tables import LakeTables
from farshore_hub.opening import fleet_of, opened_engine, schema_fault
from farshore_hub.settings import Place
from farshore_hub.store.engine import writing
from farshore_hub.store.lake import release_quarantined
from farshore_protocol.ports import Clock
from farshore_shell.findings import Fault, Finding, Report, Severity

_US_PER_S = 1_000_000


def examine(data_dir: Path, *, repairs: bool, clock: Clock, tell: Callable[[int], None]) -> Report:
    """Look at everything; change something only to repair it.

    Args:
        data_dir: the hub's folder.
        repairs: do the safe repairs.
        clock: this machine's.
        tell: is told how many bytes of batches were read.

    Raises:
        NotReady, SettingsInvalid: there is no hub, or its settings cannot be read.
    """
    place = settings.load(data_dir)
    report = Report(looked_at=["settings"])
    _note(report, f"folder {data_dir}", look_at_folder(place))
    try:
        keys = HubKeys.load(place.keys)
    except NotReady as error:
        report.findings.append(Finding("keys", Severity.TO_DO, str(error), Fault.OPERATOR, error.remedy))
        return report
    _note(report, "keys", look_at_keys(keys, clock.now_us()))
    served, findings = look_at_port(place)
    _note(report, served, findings)
    with opened_engine(place) as engine:
        try:
            _look_at_database(report, place, keys, engine, repairs=repairs, clock=clock, tell=tell)
        except SQLAlchemyError as error:
            what = f"the database does not answer: {error}".splitlines()[0]
            remedy = "is it there, and is it whole? If not, restore a backup: sites send again what it lacks"
            report.findings.append(Finding("database", Severity.TO_DO, what, Fault.DISK, remedy))
    return report


def _look_at_database(
    report: Report,
    place: Place,
    keys: HubKeys,
    engine: Engine,
    *,
    repairs: bool,
    clock: Clock,
    tell: Callable[[int], None],
) -> None:
    _note(report, "database library", look_at_library(engine))
    wrong = schema_fault(engine)
    if wrong:
        finding = Finding("database-version", Severity.TO_DO, wrong, Fault.OPERATOR, "farshore-hub db upgrade")
        report.findings.append(finding)
        return
    _note(report, "database", look_at_pages(engine))
    damaged = damaged_batches(engine, tell)
    _note(report, "stored batches", map(about_batch, damaged))
    _note(report, "ledger", look_at_ledger(engine))
    tables = LakeTables(lake_of(place), keys.hub)
    _note(report, "lake", look_at_lake(engine, tables))
    _note(report, "sites", _silent(place, keys, engine, clock.now_us()))
    if repairs:
        report.repaired += repair(engine, damaged, clock.now_us())
        with writing(engine) as connection:
            released = release_quarantined(connection)
        if released:
            report.repaired.append(f"{released} batch(es) that could not be read are tried again")
        if not report.repaired:
            report.repaired.append("nothing: there was nothing to repair")
        # What was repaired and cost nothing is no longer to be done.
        report.findings = [each for each in report.findings if each.code not in _REPAIRED]


_REPAIRED = ("batch-spare", "ledger-uncounted", "ledger-balance", "lake-quarantined")


def _silent(place: Place, keys: HubKeys, engine: Engine, now_us: int) -> Iterable[Finding]:
    after_us = place.settings.completeness.silent_after * _US_PER_S
    for site in sites.listing(fleet_of(place, keys, engine)):
        if site.state == "active" and (site.last_seen_us is None or now_us - site.last_seen_us > after_us):
            what = f"site {site.name} was not heard for {place.settings.completeness.silent_after} s or more"
            remedy = "look at the site: farshore-agent doctor"
            yield Finding("site-silent", Severity.NOTE, what, Fault.SITE, remedy)


def _note(report: Report, what: str, findings: Iterable[Finding]) -> None:
    found = list(findings)
    report.findings += found
    if not found:
        report.looked_at.append(what)
