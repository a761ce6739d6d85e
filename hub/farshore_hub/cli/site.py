"""`farshore-hub site`: add, list, show, label and revoke sites."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from farshore_hub.cli import ask
from farshore_hub.cli.labels import read_labels
from farshore_hub.cli.options import as_json, data_dir, expires, print_json, print_table, shown_time, who
from farshore_hub.fleet import sites
from farshore_hub.fleet.labels import change as changed_labels
from farshore_hub.fleet.labels import of_site as labels_of
from farshore_hub.opening import open_hub
from farshore_hub.overview import Overview
from farshore_hub.views import SiteReportView, SiteView, StreamView, WatermarkView

_COUNTS: Final = ("produced", "stored", "pending", "shed", "quarantined", "gap")

command = click.Group("site", help="Add, list, show, label, ask and revoke sites.")
command.add_command(ask.command)


@command.command("add")
@click.argument("name")
@expires
@as_json
@data_dir
def add(name: str, expires: int, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Add a site and print its join token.

    Whoever has the token becomes that site, once. Take it there and run: farshore-agent enrol TOKEN

    \b
    Examples:
      farshore-hub site add pump-station-7
      farshore-hub site add pump-station-7 --expires 7d --json

    \b
    Exit codes: 0 added, 5 the name is not allowed, 6 there is one of that name
    """
    with open_hub(data_dir) as hub:
        token = sites.add(hub.fleet, name, expires)
    _print_token(name, token, as_json=as_json)


@command.command("token")
@click.argument("name")
@expires
@as_json
@data_dir
def token(name: str, expires: int, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Print another join token for a site that is known.

    For a new machine at the site, or a site that was revoked. Unused earlier tokens stop working.

    \b
    Example:
      farshore-hub site token pump-station-7

    \b
    Exit codes: 0 done, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        made = sites.fresh_token(hub.fleet, name, expires)
    _print_token(name, made, as_json=as_json)


@command.command("list")
@as_json
@data_dir
def listing(as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List all sites. Times are UTC.

    \b
    Example:
      farshore-hub site list --json

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        found = sites.listing(hub.fleet)
    if as_json:
        print_json([SiteView.model_validate(site).model_dump(mode="json") for site in found])
        return
    times = [[shown_time(at) for at in (site.created_us, site.enrolled_us, site.last_seen_us)] for site in found]
    rows = [[site.name, site.state, *at, site.agent_version or "-"] for site, at in zip(found, times, strict=True)]
    print_table(("site", "state", "added", "enrolled", "last heard", "agent"), rows)


@command.command("show")
@click.argument("name")
@as_json
@data_dir
def show(name: str, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Show everything that is known of a site. Times are UTC.

    \b
    Examples:
      farshore-hub site show pump-station-7
      farshore-hub site show pump-station-7 --json

    \b
    Exit codes: 0 shown, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        report = Overview(hub.fleet, hub.place.settings.completeness.silent_after).site(name)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print_report(report)


@command.command("label")
@click.argument("name")
@click.argument("labels", nargs=-1)
@click.option("--by", default=who, show_default="your login", help="Who says so.")
@as_json
@data_dir
def label(name: str, labels: tuple[str, ...], by: str, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001
    """Set labels of a site as KEY=VALUE, take them away as KEY-, and show those that it has.

    Groups of the fleet are chosen by labels. Settings follow with the next `farshore-hub config apply`.

    \b
    Examples:
      farshore-hub site label pump-station-7 region=north kind=pump
      farshore-hub site label pump-station-7 kind-
      farshore-hub site label pump-station-7

    \b
    Exit codes: 0 done, 5 a label is not allowed, 6 there is no such site
    """
    gone = [word.removesuffix("-") for word in labels if "=" not in word and word.endswith("-")]
    wanted = read_labels(word for word in labels if "=" in word or not word.endswith("-"))
    with open_hub(data_dir) as hub:
        has = changed_labels(hub.fleet, name, wanted, gone, by) if labels else labels_of(hub.fleet, name)
    if as_json:
        print_json(has)
    else:
        print_table(("label", "value"), has.items())


@command.command("revoke")
@click.argument("name")
@data_dir
def revoke(name: str, data_dir: Path) -> None:
    """Shut a site out, at once. What it has delivered stays.

    \b
    Example:
      farshore-hub site revoke pump-station-7

    \b
    Exit codes: 0 done, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        sites.revoke(hub.fleet, name)
    click.echo(f"site {name} is revoked; to let it join anew: farshore-hub site token {name}")


def _print_token(name: str, token: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"site": name, "token": token})
    else:
        click.echo(token)
        click.echo(f"at {name}: farshore-agent enrol TOKEN", err=True)


def _print_report(report: SiteReportView) -> None:
    site, line = report.site, report.line
    offset = "-" if site.clock_offset_us is None else f"{site.clock_offset_us / 1e6:+.3f} s"
    facts = {
        "site": site.name,
        "stands": line.standing,
        "last heard": shown_time(site.last_seen_us),
        "clock": offset,
        "certificate ends": shown_time(report.certificate_ends_us),
        "agent": site.agent_version or "-",
        "agent starts": report.starts,
    }
    print_table(("", ""), [[name, value] for name, value in facts.items()])
    marks = {each.stream: each for each in report.watermarks}
    rows = [[each.stream, each.state, *_numbers(each), _mark(marks.get(each.stream))] for each in report.streams]
    print_table(("stream", "state", *_COUNTS, "watermark"), rows, numbers=(*_COUNTS, "watermark"))
    for gap in (gap for stream in report.streams for gap in stream.gaps):
        click.echo(f"missing: {gap.stream} {gap.first}-{gap.last} (incarnation {gap.incarnation})")
    for each in report.repairs:
        click.echo(f"{each.outcome or 'asked for again'}: {each.stream} {each.first}-{each.last} ({each.cause})")
    for again in report.resends:
        said = again.text or again.outcome or "no answer yet"
        click.echo(f"asked for: {again.stream} {again.first}-{again.last} at {shown_time(again.asked_us)}: {said}")
    for given in report.receipts:
        click.echo(f"given up: {given.stream} {given.records:,} records, {given.reason} ({given.count:,} receipts)")
    for fork in report.forks:
        click.echo(f"fork: {fork.stream} {fork.first}-{fork.last} (incarnation {fork.incarnation})")


def _numbers(stream: StreamView) -> list[str]:
    return [f"{getattr(stream, name):,}" for name in _COUNTS]


def _mark(mark: WatermarkView | None) -> str:
    return "-" if mark is None else f"{mark.watermark:,} of {mark.head:,}"
