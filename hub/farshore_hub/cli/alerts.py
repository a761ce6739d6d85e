"""`farshore-hub alerts`: what stands, who takes care of it, and who is told."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

import click

from farshore_hub.alerting import channels_of, desk_of
from farshore_hub.alerts.kinds import Kind, shown
from farshore_hub.cli.options import Duration, as_json, data_dir, print_json, print_table, shown_time, who
from farshore_hub.notify.channel import Channel, NotDelivered
from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.store.alerts import Asked
from farshore_hub.store.messages import Message
from farshore_hub.watch.views import AlertView
from farshore_protocol.limits import LATEST_EVENT_US
from farshore_shell.system import ThreadRunner
from farshore_shell.texts import printable

EXIT_STANDING: Final = 10
EXIT_NOT_TOLD: Final = 1

command = click.Group("alerts", help="Show, acknowledge and silence alerts, and test who is told.")

_kind: Final = click.option("--kind", type=click.Choice([str(kind) for kind in Kind]), help="Only of this kind.")


@command.command("list")
@_kind
@click.option("--site", help="Only of this site.")
@click.option("--all", "all_", is_flag=True, help="Those that are over, too.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="How many at most.")
@click.option("--check", is_flag=True, help="Exit with 10 if any stands that nobody takes care of.")
@as_json
@data_dir
def listing(
    kind: str | None,
    site: str | None,
    all_: bool,  # noqa: FBT001 - click's way
    limit: int,
    check: bool,  # noqa: FBT001 - click's way
    as_json: bool,  # noqa: FBT001 - click's way
    data_dir: Path,
) -> None:
    """List the alerts that stand, the newest first. Times are UTC.

    \b
    Examples:
      farshore-hub alerts list
      farshore-hub alerts list --site pump-station-7 --all --json
      farshore-hub alerts list --check

    \b
    Exit codes: 0 listed, 10 --check and some stand that nobody takes care of
    """
    with open_hub(data_dir) as hub:
        desk = desk_of(hub)
        found = desk.listed(Asked(Kind(kind) if kind else None, site, not all_, None, limit))
        waiting = desk.waiting()
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
    else:
        print_table(("id", "state", "severity", "kind", "raised", "what"), [_row(each) for each in found])
        for each in waiting:
            click.echo(
                f"{each.channel}: {each.waiting} message(s) wait since {shown_time(each.oldest_us)}: {each.fault}"
            )
    if check and any(each.state == "raised" for each in found):
        sys.exit(EXIT_STANDING)


@command.command("show")
@click.argument("number", type=click.IntRange(1))
@as_json
@data_dir
def show(number: int, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Show one alert, what became of it, and where it says what to do.

    \b
    Example:
      farshore-hub alerts show 17

    \b
    Exit codes: 0 shown, 6 there is no such alert
    """
    with open_hub(data_dir) as hub:
        story = desk_of(hub).story(number)
    if as_json:
        print_json(story.model_dump(mode="json"))
        return
    alert = story.alert
    click.echo(printable(f"{alert.severity} {alert.kind} {alert.id} ({alert.state})"))
    click.echo(printable(alert.text))
    click.echo(printable(f"value: {shown(alert.unit, alert.value)}"))
    click.echo(printable(f"what to do: {alert.runbook}"))
    rows = [[shown_time(each.at_us), each.change, each.said_by or "-", each.text] for each in story.events]
    print_table(("when (UTC)", "what", "who", "text"), rows)


@command.command("ack")
@click.argument("number", type=click.IntRange(1))
@click.option("--note", default="", help="What you have to say.")
@click.option("--by", default=who, show_default="your login", help="Who takes care of it.")
@data_dir
def acknowledge(number: int, note: str, by: str, data_dir: Path) -> None:
    """Say that you take care of an alert.

    \b
    Example:
      farshore-hub alerts ack 17 --note "the router is being replaced"

    \b
    Exit codes: 0 done, 6 there is no such alert, it is over, or somebody takes care of it already
    """
    with open_hub(data_dir) as hub:
        alert = desk_of(hub).acknowledge(number, by, note)
    click.echo(printable(f"alert {alert.id} is {alert.acknowledged_by}'s"))


@command.command("silence")
@_kind
@click.option("--sites", default="*", show_default=True, help="A pattern of names, as in 'pump-*'.")
@click.option("--streams", default="*", show_default=True, help="A pattern of names.")
@click.option("--for", "lasts", type=Duration(), required=True, help="How long, as in 2h.")
@click.option("--reason", default="", help="Why.")
@click.option("--by", default=who, show_default="your login", help="Who says so.")
@as_json
@data_dir
def silence(
    kind: str | None,
    sites: str,
    streams: str,
    lasts: int,
    reason: str,
    by: str,
    as_json: bool,  # noqa: FBT001 - click's way
    data_dir: Path,
) -> None:
    """Tell nobody of some alerts for a while. They stand all the same, and what still stands then is told.

    \b
    Examples:
      farshore-hub alerts silence --sites 'pump-*' --for 2h --reason "works in the street"
      farshore-hub alerts silence --kind clock-offset --for 7d

    \b
    Exit codes: 0 done, 5 a pattern is not one
    """
    with open_hub(data_dir) as hub:
        made = desk_of(hub).silence(Kind(kind) if kind else None, sites, streams, lasts, reason, by)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        click.echo(f"silence {made.id} lasts until {shown_time(min(made.until_us, LATEST_EVENT_US))} UTC")


@command.command("silences")
@as_json
@data_dir
def silences(as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List the silences that are not over. Times are UTC.

    \b
    Example:
      farshore-hub alerts silences

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        found = desk_of(hub).silences()
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    rows = [
        [
            each.id,
            each.kind or "every",
            each.sites,
            each.streams,
            shown_time(min(each.until_us, LATEST_EVENT_US)),
            each.made_by,
            each.reason,
        ]
        for each in found
    ]
    print_table(("id", "kind", "sites", "streams", "until", "who", "why"), rows)


@command.command("unsilence")
@click.argument("number", type=click.IntRange(1))
@data_dir
def unsilence(number: int, data_dir: Path) -> None:
    """End a silence now: what still stands is told.

    \b
    Example:
      farshore-hub alerts unsilence 3

    \b
    Exit codes: 0 done, 6 there is no such silence, or it is over
    """
    with open_hub(data_dir) as hub:
        desk_of(hub).end_silence(number)
    click.echo(f"silence {number} is over")


@command.command("test")
@click.option("--channel", help="Only this one, as it is called in the list.")
@as_json
@data_dir
def test(channel: str | None, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Tell every webhook and the broker of hub.toml a test message now, and say who took it.

    \b
    Example:
      farshore-hub alerts test

    \b
    Exit codes: 0 all took it, 1 some did not, 6 there is nobody to tell
    """
    with open_hub(data_dir) as hub:
        said = asyncio.run(_told(hub, channel))
    if as_json:
        print_json([{"channel": name, "fault": fault} for name, fault in said.items()])
    else:
        for name, fault in said.items():
            click.echo(f"{name}: {fault or 'told'}")
    if any(said.values()):
        sys.exit(EXIT_NOT_TOLD)


async def _told(hub: OpenedHub, only: str | None) -> dict[str, str]:
    """What is wrong with each channel, or nothing."""
    from farshore_hub.errors import Unknown

    runner = ThreadRunner("broker")
    try:
        channels = [each for each in channels_of(hub, runner) if only in (None, each.name)]
        if not channels:
            raise Unknown("there is nobody to tell", remedy="add [[webhook]] or [mqtt] to hub.toml")
        return {each.name: await _tell(hub, each) for each in channels}
    finally:
        runner.close()


async def _tell(hub: OpenedHub, channel: Channel) -> str:
    now_us, key = hub.fleet.clock.now_us(), hub.fleet.random.token(16).hex()
    alert = {"id": 0, "change": "test", "kind": "test", "severity": "warning", "site": "", "text": "this is a test"}
    body = json.dumps({"version": 1, "hub": hub.keys.hub.hex(), "made_us": now_us, "alerts": [alert]})
    try:
        await channel.send(Message(0, channel.name, key, body, now_us, 0))
    except NotDelivered as error:
        return str(error)
    return ""


def _row(alert: AlertView) -> list[object]:
    return [alert.id, alert.state, alert.severity, alert.kind, shown_time(alert.raised_us), alert.text]
