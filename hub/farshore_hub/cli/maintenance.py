"""`farshore-hub maintenance`: when sites are worked on."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub.alerting import desk_of
from farshore_hub.cli.options import Duration, Time, as_json, data_dir, print_json, print_table, shown_time, who
from farshore_hub.errors import Invalid
from farshore_hub.opening import open_hub
from farshore_protocol.limits import LATEST_EVENT_US

_US_PER_S = 1_000_000

command = click.Group("maintenance", help="Declare maintenance of sites.")


@command.command("add")
@click.argument("sites")
@click.option("--from", "from_us", type=Time(), help="When it begins, as in 2026-11-26T14:00Z.  [default: now]")
@click.option("--to", "until_us", type=Time(), help="When it ends.")
@click.option("--for", "lasts", type=Duration(), help="How long it lasts, as in 4h; instead of --to.")
@click.option("--reason", default="", help="Why.")
@click.option("--by", default=who, show_default="your login", help="Who says so.")
@as_json
@data_dir
def add(
    sites: str,
    from_us: int | None,
    until_us: int | None,
    lasts: int | None,
    reason: str,
    by: str,
    as_json: bool,  # noqa: FBT001 - click's way
    data_dir: Path,
) -> None:
    """Declare that sites are worked on; SITES is a name or a pattern of names, as in 'pump-*'.

    Silence that this explains is not told, and the hours burn no error budget. A loss is told all the same. What has
    passed may be declared too, for hours whose time is not over yet.

    \b
    Examples:
      farshore-hub maintenance add pump-station-7 --for 4h --reason "new router"
      farshore-hub maintenance add 'pump-*' --from 2026-12-01T06:00Z --to 2026-12-01T18:00Z

    \b
    Exit codes: 0 declared, 5 the pattern or the times make no sense
    """
    if (until_us is None) == (lasts is None):
        raise Invalid("say when it ends: either --to or --for")
    with open_hub(data_dir) as hub:
        begins_us = hub.fleet.clock.now_us() if from_us is None else from_us
        ends_us = until_us if until_us is not None else begins_us + (lasts or 0) * _US_PER_S
        made = desk_of(hub).maintain(sites, begins_us, ends_us, reason, by)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        click.echo(
            f"maintenance {made.id} of {made.sites} lasts until {shown_time(min(made.until_us, LATEST_EVENT_US))} UTC"
        )


@command.command("list")
@click.option("--all", "all_", is_flag=True, help="What is over, too.")
@as_json
@data_dir
def listing(all_: bool, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List declared maintenance. Times are UTC.

    \b
    Example:
      farshore-hub maintenance list --all

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        found = desk_of(hub).maintenances(all_of_them=all_)
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    rows = [
        [
            each.id,
            each.sites,
            shown_time(min(each.from_us, LATEST_EVENT_US)),
            shown_time(min(each.until_us, LATEST_EVENT_US)),
            each.made_by,
            each.reason,
        ]
        for each in found
    ]
    print_table(("id", "sites", "from", "until", "who", "why"), rows)


@command.command("end")
@click.argument("number", type=click.IntRange(1))
@data_dir
def end(number: int, data_dir: Path) -> None:
    """End maintenance now.

    \b
    Example:
      farshore-hub maintenance end 3

    \b
    Exit codes: 0 done, 6 there is none of that number, or it is over
    """
    with open_hub(data_dir) as hub:
        desk_of(hub).end_maintenance(number)
    click.echo(f"maintenance {number} is over")
