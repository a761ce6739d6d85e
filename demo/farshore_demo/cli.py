"""The command `farshore`: what needs both the agent and the hub."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farshore_demo.processes import DemoFailed
from farshore_shell.build import described

if TYPE_CHECKING:
    from rich.console import Console

_FAILED = 1
_WRONG = 9
_INTERRUPTED = 130
_WIDTH_IN_LOGS = 110


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(described(), prog_name="farshore")
def main() -> None:
    """Farshore on one machine. The parts have commands of their own: farshore-agent and farshore-hub."""


@main.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Keep everything in this new folder.")
@click.option("--stay", is_flag=True, help="Leave hub and sites running afterwards, until Ctrl-C.")
def demo(keep: Path | None, stay: bool) -> None:  # noqa: FBT001 - click hands flags over like this
    """Run a hub and three sites on real data, break things, and check that every record arrived once.

    \b
    Takes less than a minute. Nothing outside a temporary folder is touched.

    \b
    Exit codes:
      0    every record arrived, once and unchanged
      1    the demo could not be run to its end
      9    a record is missing, doubled or changed
      130  interrupted

    \b
    Examples:
      farshore demo
      farshore demo --stay            look around with the hub running
      farshore demo --keep /tmp/demo  keep stores, settings and logs
    """
    try:
        sys.exit(asyncio.run(_demo(keep, stay=stay)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("Interrupted; everything is stopped.", err=True)
        sys.exit(_INTERRUPTED)


async def _demo(keep: Path | None, *, stay: bool) -> int:
    from rich.console import Console

    _stop_in_order()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_IN_LOGS)
    folder = _new_folder(keep)
    try:
        return await _played(folder, console, kept=keep is not None, stay=stay)
    except DemoFailed as error:
        console.print(f"error: {error}", style="red", soft_wrap=True, markup=False)
        return _FAILED
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


async def _played(folder: Path, console: Console, *, kept: bool, stay: bool) -> int:
    from farshore_demo import story, table

    began = time.monotonic()
    console.print("Starting a hub and three sites …")
    async with story.world(folder) as world:
        console.print(f"The hub answers at https://127.0.0.1:{world.port} (its API: /docs).")
        async with table.shown(world, console):
            await story.play(world, story.Pace())
        findings = await story.verify(world)
        right = all(each.right for each in findings)
        console.print(table.verdict(findings))
        verdict = "Every record arrived, once and unchanged." if right else "Records are missing, doubled or changed."
        console.print(f"{verdict} {time.monotonic() - began:.0f} s.")
        console.print(_where_next(folder, kept=kept or stay), markup=False, soft_wrap=True)
        if stay:
            console.print("Everything keeps running; press Ctrl-C to stop it.")
            await asyncio.Event().wait()
    return 0 if right else _WRONG


def _stop_in_order() -> None:
    """Ctrl-C and SIGTERM cancel the demo, which then stops what it started; also where a shell has SIGINT ignored."""
    demo = asyncio.current_task()
    assert demo is not None  # noqa: S101 - called from a coroutine
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, demo.cancel)


def _new_folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="farshore-"))
    try:
        keep.mkdir(parents=True)
    except FileExistsError:
        raise click.UsageError(f"{keep} exists already; name a new folder") from None
    return keep.absolute()


def _where_next(folder: Path, *, kept: bool) -> str:
    if not kept:
        return "Look further: 'farshore demo --stay' keeps all of it running, 'farshore demo --keep FOLDER' its files."
    hub = f"farshore-hub --data-dir {folder / 'hub'}"
    return f"""\
Look further:
  {hub} completeness
  {hub} query 'SELECT station, avg("PM2.5") FROM "air-quality" GROUP BY station'"""  # noqa: S608 - to read, not a query


if __name__ == "__main__":
    main()
