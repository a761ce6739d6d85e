"""`farshore-hub backup`: backups of the hub, made while it runs, and a hub out of one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from farshore_hub import settings
from farshore_hub.backup import restore as restoring
from farshore_hub.backup.folder import BackupFolder, manifest_of
from farshore_hub.backup.make import make
from farshore_hub.backup.manifest import Manifest
from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.errors import NotReady
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.opening import open_hub
from farshore_protocol.limits import MIB

command = click.Group("backup", help="Make, list, verify and restore backups of the hub.")

_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_NO_YES: Final = ("no", "yes")
_BACKUP: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@command.command("create")
@click.argument("target", type=_FOLDER)
@click.option("--keep", type=click.IntRange(1), default=7, show_default=True, help="How many of the newest are kept.")
@click.option("--with-keys", is_flag=True, help="Put the hub's keys into it; who has them can read everything.")
@as_json
@data_dir
def create(*, target: Path, keep: int, with_keys: bool, as_json: bool, data_dir: Path) -> None:
    """Make a backup in the folder TARGET, which may have earlier ones; the hub goes on meanwhile.

    It has the database as of one moment, the lake, and hub.toml. Lake files that the backup before has are linked, so
    that a further one takes little room; a lake in an object store stays there. The hub's keys are left out: keep them
    elsewhere with 'keys backup', without them nothing can be opened. With `archive = "backup"` in hub.toml, sites are
    told to forget what the oldest backup that is kept contains. A PostgreSQL database is copied with pg_dump.

    \b
    Examples:
      farshore-hub backup create /mnt/backup
      farshore-hub backup create /mnt/backup --keep 30 --json

    \b
    Exit codes: 0 made, 4 it cannot be copied or the disk is full, 5 a lake table or the database is damaged
    """
    with open_hub(data_dir) as hub, _disk():
        made = make(hub, target, keep=keep, with_keys=with_keys, tell=_teller())
    if as_json:
        print_json({**_document(made.path, made.manifest), "copied_bytes": made.copied_bytes, "removed": made.gone})
        return
    click.echo(f"{made.path}: {_mib(made.manifest.size)}, of which {_mib(made.copied_bytes)} are new")
    _say_where_the_lake_is(made.manifest)
    for name in made.gone:
        click.echo(f"removed: {name}")


@command.command("list")
@click.argument("target", type=_BACKUP)
@as_json
@data_dir
def listing(*, target: Path, as_json: bool, data_dir: Path) -> None:
    """List this hub's backups in the folder TARGET, the oldest first. Times are UTC.

    \b
    Example:
      farshore-hub backup list /mnt/backup

    \b
    Exit codes: 0 listed
    """
    keys = HubKeys.load(settings.load(data_dir).keys)
    found = [(path, manifest_of(path)) for path in BackupFolder(target, keys.hub.hex()).backups()]
    if as_json:
        print_json([_document(path, manifest) for path, manifest in found])
        return
    rows = [
        [
            path.name,
            shown_time(each.made_us),
            each.database,
            each.schema,
            _NO_YES[each.has_keys],
            _mib(each.size),
        ]
        for path, each in found
    ]
    print_table(("backup", "made", "database", "version", "keys", "size"), rows, numbers={"size"})


@command.command("verify")
@click.argument("backup", type=_BACKUP)
@as_json
def verify(*, backup: Path, as_json: bool) -> None:
    """Read the whole of BACKUP and compare every file with its hash. Needs no hub.

    \b
    Example:
      farshore-hub backup verify /mnt/backup/farshore-5f3c…-20261126T080000000000Z

    \b
    Exit codes: 0 it is as it was made, 5 it is not
    """
    manifest = restoring.verify(backup, _counter())
    if as_json:
        print_json(_document(backup, manifest))
        return
    click.echo(f"{len(manifest.files):,} files, {_mib(manifest.size)}: as they were made")
    _say_where_the_lake_is(manifest)


@command.command("restore")
@click.argument("backup", type=_BACKUP)
@click.option(
    "--keys", type=_BACKUP, help="The folder with the hub's keys, if neither the backup nor --data-dir has them."
)
@data_dir
def restore(*, backup: Path, keys: Path | None, data_dir: Path) -> None:
    """Verify BACKUP and make a hub out of it in an empty folder, or one in which 'keys restore' has put the keys.

    A PostgreSQL database is loaded into the one that the backup's hub.toml names, which has to be empty. Start the hub
    then: sites notice, and send again what came after the backup was made, as far as they still have it.

    \b
    Examples:
      farshore-hub keys restore /media/stick/hub.keys --data-dir /var/lib/farshore-hub
      farshore-hub backup restore /mnt/backup/farshore-5f3c…Z --data-dir /var/lib/farshore-hub
      farshore-hub serve --data-dir /var/lib/farshore-hub

    \b
    Exit codes: 0 restored, 4 no pg_restore, or the disk is full, 5 the backup is damaged, 6 the folder is not empty
    """
    with _disk():
        manifest = restoring.restore(backup, data_dir, keys, _counter())
    _say_where_the_lake_is(manifest)
    click.echo(f"{data_dir} is the hub as of {shown_time(manifest.made_us)} UTC")
    click.echo(f"start it: farshore-hub serve --data-dir {data_dir}")


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise NotReady(f"{where}{error.strerror}", remedy="is the disk full, and may this user write there?") from None


def _document(path: Path, manifest: Manifest) -> dict[str, object]:
    return {
        "path": str(path),
        "hub": manifest.hub,
        "made_us": manifest.made_us,
        "program": manifest.program,
        "database": manifest.database,
        "schema": manifest.schema,
        "has_keys": manifest.has_keys,
        "lake": manifest.lake or None,
        "files": len(manifest.files),
        "bytes": manifest.size,
    }


def _say_where_the_lake_is(manifest: Manifest) -> None:
    if manifest.lake:
        click.echo(f"the lake is not in it: it stays at {manifest.lake}, which has to be kept by the object store")


def _teller() -> Callable[[str], None]:
    return (lambda what: click.echo(what, err=True)) if sys.stderr.isatty() else lambda _what: None


def _counter() -> Callable[[int], None]:
    read = 0

    def tell(count: int) -> None:
        nonlocal read
        read += count
        click.echo(f"\r{_mib(read)} read", err=True, nl=False)

    return tell if sys.stderr.isatty() else lambda _count: None


def _mib(count: int) -> str:
    return f"{count / MIB:,.1f} MiB"
