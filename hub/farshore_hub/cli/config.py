"""`farshore-hub config`: the settings of all sites, from layers in a folder."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from farshore_hub.cli.options import Duration, as_json, data_dir, print_json, print_table, shown_time, who
from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.orders.config import Preview, preview_view
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.orders.folder import read_folder
from farshore_hub.orders.rollout import HALTS, Strategy
from farshore_hub.orders.strategies import strategy_from
from farshore_hub.orders.views import AppliedView, RevisionView, SteeringView
from farshore_shell.texts import printable

EXIT_INVALID: Final = 5
_NAMES: Final = 5

command = click.Group("config", help="Show, compare and apply the settings of all sites.")

_folder: Final = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
_by: Final = click.option("--by", default=who, show_default="your login", help="Who says so.")
_note: Final = click.option("--note", default="", help="Why.")


def _rolled_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a revision is rolled out."""
    options = (
        click.option("--canary", type=click.IntRange(1), help="So many sites come first."),
        click.option("--then", default="100%", show_default=True, help="The stages after that, as in 10%,50%,100%."),
        click.option(
            "--soak", type=Duration(), default="0s", show_default=True, help="So long all must be well before the next."
        ),
        click.option(
            "--halt-on",
            default="failed=1",
            show_default=True,
            help=f"What stops it, at how many sites: {', '.join(HALTS)}; empty: nothing.",
        ),
        click.option(
            "--silent-after", type=Duration(), default="15min", show_default=True, help="A site is away after this."
        ),
        click.option("--again", is_flag=True, help="Also at sites that have refused or rolled back the very same."),
        click.option("--skip-invalid", is_flag=True, help="Leave out sites that would refuse it."),
        click.option("--yes", is_flag=True, help="Do not ask."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command("diff")
@_folder
@as_json
@data_dir
def diff(folder: Path, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Show what FOLDER would change, and what stands against it. Secrets are shown as their names.

    FOLDER has fleet.toml for every site, groups/NAME.toml for the sites with the labels that it selects, and
    sites/NAME.toml for one; each says what an agent's own settings file would say.

    \b
    Examples:
      farshore-hub config diff config/
      farshore-hub config diff config/ --json

    \b
    Exit codes: 0 shown, 5 it could not be applied
    """
    with open_hub(data_dir) as hub:
        preview = OrderDesks.of(hub.fleet).config.preview(read_folder(folder))
    if as_json:
        print_json(preview_view(preview).model_dump(mode="json"))
    else:
        _print(preview)
    if preview.problems:
        raise SystemExit(EXIT_INVALID)


@command.command("apply")
@_folder
@_rolled_out
@_note
@_by
@as_json
@data_dir
def apply(folder: Path, note: str, by: str, as_json: bool, data_dir: Path, **how: Any) -> None:  # noqa: ANN401, FBT001
    """Bring FOLDER to the sites, at once or in stages.

    What would change is shown first. Sites whose settings stay the same get no order; those that are away take part
    when they return. The hub has to run for it: `farshore-hub serve`.

    \b
    Examples:
      farshore-hub config apply config/
      farshore-hub config apply config/ --canary 5 --then 25%,100% --soak 10min --halt-on failed=1,gaps=1
      farshore-hub config apply config/ --yes --note "slower in winter" --json

    \b
    Exit codes: 0 begun, or not wanted after all, 5 it cannot be applied, 6 another rollout is not over
    """
    with open_hub(data_dir) as hub:
        _apply(hub, read_folder(folder), _strategy(how), note, by, how, as_json=as_json)


@command.command("rollback")
@click.argument("revision", type=click.IntRange(1))
@_rolled_out
@_note
@_by
@as_json
@data_dir
def rollback(revision: int, note: str, by: str, as_json: bool, data_dir: Path, **how: Any) -> None:  # noqa: ANN401, FBT001
    """Bring an earlier REVISION to the sites again, as a new one. Labels and secrets are those of now.

    \b
    Examples:
      farshore-hub config rollback 12
      farshore-hub config rollback 12 --canary 3 --soak 10min

    \b
    Exit codes: 0 begun, or not wanted after all, 5 it cannot be applied, 6 there is none, or a rollout is not over
    """
    with open_hub(data_dir) as hub:
        files = OrderDesks.of(hub.fleet).config.files(revision)
        said = note or f"back to revision {revision}"
        _apply(hub, files, _strategy(how), said, by, how, as_json=as_json)


@command.command("history")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@click.option("--deeds", is_flag=True, help="Also who did what with rollouts, commands, labels and secrets.")
@as_json
@data_dir
def history(limit: int, deeds: bool, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List the revisions, the newest first. Times are UTC.

    \b
    Examples:
      farshore-hub config history
      farshore-hub config history --deeds --limit 20

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        desks = OrderDesks.of(hub.fleet)
        done = desks.steered.deeds(limit) if deeds else []
        made = [RevisionView.model_validate(each) for each in desks.config.history(limit)]
    if as_json:
        print_json([each.model_dump(mode="json") for each in (done if deeds else made)])
    elif deeds:
        rows = [[shown_time(each.at_us), each.said_by or "-", each.subject, each.deed, each.text] for each in done]
        print_table(("when", "who", "what", "deed", "text"), rows)
    else:
        print_table(
            ("revision", "when", "who", "why"),
            [[each.id, shown_time(each.made_us), each.made_by, each.note] for each in made],
        )


@command.command("show")
@click.argument("site")
@as_json
@data_dir
def show(site: str, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Show the settings that SITE is to have, where they come from, and what it says of them.

    \b
    Example:
      farshore-hub config show pump-station-7

    \b
    Exit codes: 0 shown, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        view = OrderDesks.of(hub.fleet).steered.site(site)
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    own = view.site
    facts = {
        "site": own.site,
        "stands": own.agreement,
        "revision": own.revision,
        "desired": own.desired,
        "running": own.running,
        "labels": " ".join(f"{key}={value}" for key, value in own.labels.items()) or "-",
        "accepts": " ".join(own.accepts) or "-",
        "reported": shown_time(own.reported_us),
        "layers": " < ".join(view.layers),
    }
    print_table(("", ""), [[name, value] for name, value in facts.items()])
    for problem in own.problems:
        click.echo(printable(f"the site says: {problem}"))
    click.echo(view.settings, nl=False)


@command.command("sites")
@as_json
@data_dir
def sites(as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Show how every site stands to its desired settings, and which version its agent has. Times are UTC.

    \b
    Examples:
      farshore-hub config sites
      farshore-hub config sites --json

    \b
    Exit codes: 0 shown
    """
    with open_hub(data_dir) as hub:
        report = OrderDesks.of(hub.fleet).steered.report()
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print_sites(report)


def _strategy(how: dict[str, Any]) -> Strategy:
    halt_on = [each for each in how["halt_on"].split(",") if each.strip()]
    return strategy_from(
        how["canary"],
        how["then"],
        how["soak"],
        halt_on,
        how["silent_after"],
        again=how["again"],
    )


def _apply(
    hub: OpenedHub, files: dict[str, str], strategy: Strategy, note: str, by: str, how: dict[str, Any], *, as_json: bool
) -> None:
    desk = OrderDesks.of(hub.fleet).config
    if not how["yes"]:
        preview = desk.preview(files, again=strategy.again)
        _print(preview, to_stderr=as_json)
        wanted = f"Change {len(preview.changes)} sites in {len(strategy.stages)} stage(s)?"
        if (not preview.problems or how["skip_invalid"]) and not click.confirm(wanted, err=as_json):
            return
    applied = desk.apply(files, strategy, by, note, skip_invalid=how["skip_invalid"])
    if as_json:
        print_json(AppliedView.model_validate(applied).model_dump(mode="json"))
    else:
        click.echo(f"revision {applied.revision} goes to {applied.sites} sites: rollout {applied.rollout}")
        click.echo(f"watch it: farshore-hub rollout show {applied.rollout}")


def _print(preview: Preview, *, to_stderr: bool = False) -> None:
    """Sites that change alike are shown once."""
    alike: dict[str, list[str]] = defaultdict(list)
    for change in preview.changes:
        lines = difflib.unified_diff(change.before.splitlines(), change.after.splitlines(), lineterm="", n=1)
        alike["\n".join([*lines][2:]) or "  (a secret or its files have changed)"].append(change.site)
    for text, names in alike.items():
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        click.echo(f"{', '.join(names[:_NAMES])}{more}:", err=to_stderr)
        click.echo("\n".join(map(printable, text.splitlines())), err=to_stderr)
    for site, problem in preview.problems:
        click.echo(printable(f"problem: {f'{site}: ' if site else ''}{problem}"), err=to_stderr)
    unheard = sum(not each.is_introduced for each in preview.changes)
    click.echo(
        f"{len(preview.changes)} sites change, {preview.same} stay as they are"
        + (f"; {unheard} of them have not introduced themselves and are checked when they do" if unheard else ""),
        err=to_stderr,
    )


def _print_sites(report: SteeringView) -> None:
    rows = [
        [
            each.site,
            each.agreement,
            each.revision,
            each.agent_version,
            " ".join(f"{key}={value}" for key, value in each.labels.items()),
            shown_time(each.heard_us),
            "; ".join(each.problems),
        ]
        for each in report.sites
    ]
    print_table(("site", "stands", "revision", "agent", "labels", "last heard", "problems"), rows)
    counts = ", ".join(f"{count:,} {name}" for name, count in report.agreements.items())
    versions = ", ".join(f"{count:,} with {version}" for version, count in report.versions.items())
    click.echo(printable(f"{len(report.sites):,} sites: {counts or 'none'}; agents: {versions or 'none'}"))
    if report.rollout:
        click.echo(printable(f"rollout {report.rollout.id} is {report.rollout.state}: {report.rollout.why}"))
