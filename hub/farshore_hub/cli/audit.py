"""`farshore-hub audit`: re-reads what is stored, and says what is not as the ledger says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from farshore_hub.audit import progress
from farshore_hub.audit.auditor import ask_for_audit
from farshore_hub.audit.differences import AuditReport, Cure
from farshore_hub.audit.progress import Kept
from farshore_hub.audit.round import Position, Round
from farshore_hub.audit.views import AuditStateView, AuditView, audit_view, state_view
from farshore_hub.behind import lake_care
from farshore_hub.cli.options import Time, as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.errors import Unknown
from farshore_hub.fleet import sites
from farshore_hub.lake.files.opening import lock_file_of
from farshore_hub.lake.lease import Lease, lease_for
from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.reports import check_stream
from farshore_hub.store import damages
from farshore_hub.store.audit import Scope
from farshore_hub.store.engine import reading
from farshore_shell.findings import progress as progress_of

EXIT_DIFFERS: Final = 11
_CURES: Final = {
    Cure.REBUILT: "rebuilt from the hub's other copy",
    Cure.WANTED: "its site is asked for the records again",
    Cure.NONE: "somebody has to look: docs/how-to/audit.md",
}


@click.command("audit")
@click.option("--site", help="Only this site.")
@click.option("--stream", help="Only this stream.")
@click.option("--since", type=Time(), help="Only what was received since then, as in 2026-11-26T08:30Z.")
@click.option("--repair", is_flag=True, help="Heal what differs, as the running hub's own audit does.")
@click.option("--status", is_flag=True, help="Read nothing; show how far the hub's own audit is, and what it found.")
@as_json
@data_dir
def command(
    *,
    site: str | None,
    stream: str | None,
    since: int | None,
    repair: bool,
    status: bool,
    as_json: bool,
    data_dir: Path,
) -> None:
    """Re-read everything that is stored and hold it against the ledger, by the hashes of its content.

    Every account against its batches, every sealed batch against its digest, every row of the lake against the digest
    that was kept when it was written. It only reads, and may be used while the hub runs. The running hub does the same
    by itself ([audit] in hub.toml) and heals what it finds; --repair does that now.

    \b
    Examples:
      farshore-hub audit
      farshore-hub audit --site pump-station-7 --since 2026-11-01 --json
      farshore-hub audit --repair
      farshore-hub audit --status

    \b
    Exit codes: 0 all is as the ledger says, 11 something differs, 6 there is no such site or stream
    """
    with open_hub(data_dir) as hub:
        if status:
            _show_status(hub, as_json=as_json)
            return
        scope = _scope(hub, site, stream, since)
        view = _audit(hub, scope, repair=repair, quiet=as_json)
    if as_json:
        print_json(view.model_dump(mode="json"))
    else:
        _show(view, repaired=repair)
    sys.exit(EXIT_DIFFERS if view.found else 0)


def _scope(hub: OpenedHub, site: str | None, stream: str | None, since: int | None) -> Scope:
    if site is not None:
        sites.find(hub.fleet, site)
    if stream is not None and check_stream(stream) not in lake_care(hub, BatchOpener(hub.engine, hub.keys)).known():
        raise Unknown(f"nothing was heard of a stream {stream!r}", remedy="farshore-hub completeness lists them")
    return Scope(site, stream, since)


def _audit(hub: OpenedHub, scope: Scope, *, repair: bool, quiet: bool) -> AuditView:
    clock, report = hub.fleet.clock, AuditReport()
    care = lake_care(hub, BatchOpener(hub.engine, hub.keys))
    tell, read_bytes, started_us = progress_of("audit", quiet=quiet), 0, clock.now_us()
    lease = lease_for(hub.engine, lock_file_of(hub.place))
    try:
        for step in Round(hub.engine, care, clock, report, scope, repairs=repair).steps(Position()):
            read_bytes += step.read_bytes
            tell(read_bytes)
            if step.lake_work is not None:
                _work(hub, lease, step.lake_work)
    finally:
        lease.release()
    return audit_view(Kept(started_us, report, read_bytes=read_bytes, ended_us=clock.now_us()))


def _work(hub: OpenedHub, lease: Lease, work: Callable[[], None]) -> None:
    """Repair the lake here, or let the hub do it that is running."""
    if lease.take():
        work()
        return
    ask_for_audit(hub.engine, hub.fleet.clock.now_us())
    click.echo("the hub is running: it repairs its lake itself, in an audit that begins now", err=True)


def _show(view: AuditView, *, repaired: bool) -> None:
    for each in view.differences:
        click.echo(f"differs  {each.what}")
        if each.incarnation:
            click.echo(f"         {each.kind}: incarnation {each.incarnation}")
        click.echo(f"         {'done' if repaired else 'a repair'}: {_CURES[each.cure]}")
    counted = ", ".join(f"{count} {kind}" for kind, count in view.found.items())
    read = f"{view.accounts:,} accounts, {view.batches:,} sealed batches, {view.rows:,} rows of the lake"
    if view.unproven:
        click.echo(f"note     of {view.unproven:,} batches in the lake only the rows were counted: no digest was kept")
    click.echo(f"{f'{counted} not as the ledger says' if counted else 'all is as the ledger says'}: {read}")


def _show_status(hub: OpenedHub, *, as_json: bool) -> None:
    with reading(hub.engine) as connection:
        view = state_view(progress.load(connection), damages.tally(connection))
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    for line in _status_lines(view):
        click.echo(line)
    if view.damages:
        rows = [(each.outcome, each.damages, f"{each.records:,}", f"{each.size:,}") for each in view.damages]
        print_table(("damages", "ranges", "records", "bytes"), rows, numbers=("ranges", "records", "bytes"))


def _status_lines(view: AuditStateView) -> list[str]:
    lines = []
    if view.present is not None:
        lines.append(f"now: since {shown_time(view.present.started_us)}, {view.present.read_bytes:,} bytes read")
    if view.last is not None:
        found = ", ".join(f"{count} {kind}" for kind, count in view.last.found.items()) or "all as the ledger says"
        lines.append(f"last: {shown_time(view.last.ended_us)}, {view.last.read_bytes:,} bytes read, {found}")
    lines.append(f"next: {shown_time(view.next_us)}")
    return lines
