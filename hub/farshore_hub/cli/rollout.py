"""`farshore-hub rollout`: how revisions come to the sites."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time, who
from farshore_hub.opening import open_hub
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.orders.rollouts import RolloutDesk
from farshore_hub.orders.views import RolloutView
from farshore_shell.texts import printable

command = click.Group("rollout", help="Watch, pause, resume and abort rollouts.")

_number: Final = click.argument("number", type=click.IntRange(1))
_note: Final = click.option("--note", default="", help="Why.")
_by: Final = click.option("--by", default=who, show_default="your login", help="Who says so.")


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most.")
@as_json
@data_dir
def listing(limit: int, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List rollouts, the newest first. Times are UTC.

    \b
    Example:
      farshore-hub rollout list

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        found = OrderDesks.of(hub.fleet).rollouts.listed(limit)
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    rows = [[each.id, each.revision, each.state, _stage(each), _counts(each), each.made_by, each.why] for each in found]
    print_table(("rollout", "revision", "state", "stage", "sites", "who", "why"), rows)


@command.command("show")
@_number
@as_json
@data_dir
def show(number: int, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Show a rollout, what became of each site, and who did what. Times are UTC.

    \b
    Example:
      farshore-hub rollout show 3

    \b
    Exit codes: 0 shown, 6 there is no such rollout
    """
    with open_hub(data_dir) as hub:
        story = OrderDesks.of(hub.fleet).rollouts.story(number)
    if as_json:
        print_json(story.model_dump(mode="json"))
        return
    _say(story.rollout)
    rows = [
        [each.site, each.stage, each.part, shown_time(each.settled_us), "; ".join(each.problems)]
        for each in story.sites
    ]
    print_table(("site", "stage", "stands", "settled", "problems"), rows)
    for each in story.events:
        said = f"{shown_time(each.at_us)} {each.deed} by {each.said_by or 'the hub'}"
        click.echo(printable(f"{said}: {each.text}" if each.text else said))


@command.command("pause")
@_number
@_note
@_by
@data_dir
def pause(number: int, note: str, by: str, data_dir: Path) -> None:
    """Stop a rollout for now: no further site is ordered anything.

    \b
    Example:
      farshore-hub rollout pause 3 --note "until Monday"

    \b
    Exit codes: 0 done, 6 there is no such rollout, or it does not run
    """
    _do(data_dir, lambda desk: desk.pause(number, by, note))


@command.command("resume")
@_number
@_note
@_by
@data_dir
def resume(number: int, note: str, by: str, data_dir: Path) -> None:
    """Let a rollout that was paused, or has halted, go on. What halted it may halt it again.

    \b
    Example:
      farshore-hub rollout resume 3

    \b
    Exit codes: 0 done, 6 there is no such rollout, or it was not stopped
    """
    _do(data_dir, lambda desk: desk.resume(number, by, note))


@command.command("advance")
@_number
@_note
@_by
@data_dir
def advance(number: int, note: str, by: str, data_dir: Path) -> None:
    """Go on to the next stage now, whatever this one waits for.

    \b
    Example:
      farshore-hub rollout advance 3 --note "the canary is on land for repairs"

    \b
    Exit codes: 0 done, 6 there is no such rollout, it is over, or in its last stage
    """
    _do(data_dir, lambda desk: desk.advance(number, by, note))


@command.command("abort")
@_number
@_note
@_by
@data_dir
def abort(number: int, note: str, by: str, data_dir: Path) -> None:
    """End a rollout: sites that have the settings keep them, no other gets them.

    To bring all of them back: farshore-hub config rollback REVISION.

    \b
    Example:
      farshore-hub rollout abort 3 --note "too slow"

    \b
    Exit codes: 0 done, 6 there is no such rollout, or it is over
    """
    _do(data_dir, lambda desk: desk.abort(number, by, note))


def _do(data_dir: Path, deed: Callable[[RolloutDesk], RolloutView]) -> None:
    with open_hub(data_dir) as hub:
        _say(deed(OrderDesks.of(hub.fleet).rollouts))


def _say(view: RolloutView) -> None:
    click.echo(printable(f"rollout {view.id} of revision {view.revision} is {view.state}: {view.why}"))
    click.echo(printable(f"stage {_stage(view)}; sites: {_counts(view)}"))


def _stage(view: RolloutView) -> str:
    return f"{view.stage} of {len(view.stages)} ({', '.join(view.stages)})"


def _counts(view: RolloutView) -> str:
    return ", ".join(f"{count} {part}" for part, count in view.counts.items()) or "none"
