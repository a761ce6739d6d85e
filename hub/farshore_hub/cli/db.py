"""`farshore-hub db`: the version of the database."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub import settings
from farshore_hub.cli.options import data_dir
from farshore_hub.opening import opened_engine
from farshore_hub.store import migrate, version

command = click.Group("db", help="The version of the hub's database.")


@command.command("current")
@data_dir
def current(data_dir: Path) -> None:
    """Print the database's version, and the one that this program needs.

    \b
    Example:
      farshore-hub db current

    \b
    Exit codes: 0 printed, 4 it does not answer
    """
    with opened_engine(settings.load(data_dir)) as engine:
        click.echo(f"{version.current(engine) or 'none'} (this program needs {version.newest()})")


@command.command("upgrade")
@click.option("--dry-run", is_flag=True, help="Print the SQL and change nothing.")
@data_dir
def upgrade(dry_run: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Bring the database to this program's version. Make a backup first.

    \b
    Examples:
      farshore-hub db upgrade --dry-run
      farshore-hub db upgrade

    \b
    Exit codes: 0 it is at this version, 4 it does not answer
    """
    with opened_engine(settings.load(data_dir)) as engine:
        if dry_run:
            click.echo(migrate.upgrade_sql(engine))
            return
        migrate.upgrade(engine)
        click.echo(f"the database is at version {version.current(engine)}")
