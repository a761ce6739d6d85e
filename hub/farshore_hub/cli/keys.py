"""`farshore-hub keys`: the hub's own keys."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time, who
from farshore_hub.errors import Conflict, Invalid, NotReady
from farshore_hub.fleet.key_files import Kind
from farshore_hub.keys import archive
from farshore_hub.keys.archive import Contents
from farshore_hub.keys.desk import Files, KeyDesk, files_of
from farshore_hub.keys.listing import KeyList, listed
from farshore_hub.keys.restoring import restore
from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.settings import keys_folder
from farshore_shell.files import write_private
from farshore_shell.owner import as_caller
from farshore_shell.system import SystemRandom

command = click.Group("keys", help="Show, replace, retire, back up and restore the hub's own keys.")

_KINDS: Final = click.Choice([kind.value for kind in Kind])
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_MAX_PASSPHRASE_BYTES: Final = 4096

_by: Final = click.option("--by", default=who, show_default="your login", help="Who says so.")
_passphrase: Final = click.option(
    "--passphrase-file", type=_FILE, help="Holds the passphrase in its first line.  [default: asked for]"
)


@command.command("list")
@as_json
@data_dir
def listing(*, as_json: bool, data_dir: Path) -> None:
    """List the hub's keys, the newest of each kind first, and how many sites were not heard since they were announced.

    \b
    Example:
      farshore-hub keys list

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        found = listed(hub)
    if as_json:
        print_json(found.document())
        return
    _print(found)


@command.command("rotate")
@click.argument("kinds", nargs=-1, type=_KINDS)
@click.option("--backup", type=_FILE, help="Write a backup of all keys, the new ones too, before they are in use.")
@click.option("--no-backup", is_flag=True, help="Without one: what is sealed to a key is lost with the key.")
@_passphrase
@_by
@as_json
@data_dir
def rotate(
    *,
    kinds: tuple[str, ...],
    backup: Path | None,
    no_backup: bool,
    passphrase_file: Path | None,
    by: str,
    as_json: bool,
    data_dir: Path,
) -> None:
    """Make another key of each of KINDS (signing and sealing, if none is named), and announce it to all sites.

    The hub may run. From now on sites seal to the new sealing key, and the old one opens what was sealed before. The
    new signing key and the new authority (ca) are announced, so that every site knows them when the old ones are
    retired. Sites that are away learn of it when they come back, however many rotations they have missed. Secrets are
    sealed anew.

    \b
    Examples:
      farshore-hub keys rotate --backup /media/stick/hub.keys
      farshore-hub keys rotate ca --backup /media/stick/hub.keys --passphrase-file ~/passphrase

    \b
    Exit codes: 0 done, 4 the disk is full, 5 no backup or passphrase, 6 too many keys, or the file exists
    """
    if (backup is None) is not no_backup:
        raise Invalid(
            "say where the keys are kept, the new ones too",
            remedy="--backup FILE writes a backup of them; --no-backup does without, if they are kept otherwise",
        )
    chosen = {Kind(each) for each in kinds} or {Kind.SIGNING, Kind.SEALING}
    with open_hub(data_dir) as hub:
        keep = _keeper(hub, backup, passphrase_file) if backup else _kept_otherwise
        with _disk():
            KeyDesk(hub, by).rotate(chosen, keep)
        found = listed(hub)
    if as_json:
        print_json(found.document())
        return
    _print(found)
    click.echo("running hubs have noticed; sites learn of it with the next answer to each")
    if Kind.CA in chosen:
        click.echo("a broker of your own has to trust the new authority, too: farshore-hub broker prepare FOLDER")


@command.command("retire")
@click.argument("kinds", nargs=-1, required=True, type=_KINDS)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_by
@as_json
@data_dir
def retire(*, kinds: tuple[str, ...], yes: bool, by: str, as_json: bool, data_dir: Path) -> None:
    """Trust and use the newest key of each of KINDS alone, and delete the older ones.

    Of signing keys and authorities: when most sites have heard of the new ones (keys list). Those that have not follow
    when they come back. An older agent, which cannot, has to join anew after an authority was retired. A retired
    authority is taken by a running hub until it is started again.

    Of sealing keys: what was sealed to the old ones and is not here yet, or is stored and not in the lake yet, cannot
    be opened any more. So old sealing keys are rather kept; a backup of the keys brings them back.

    \b
    Examples:
      farshore-hub keys retire signing
      farshore-hub keys retire ca --yes

    \b
    Exit codes: 0 done, 4 the disk is full, 5 you said no, 6 there is one key only
    """
    chosen = {Kind(each) for each in kinds}
    with open_hub(data_dir) as hub:
        if not yes:
            _ask(listed(hub), chosen)
        with _disk():
            KeyDesk(hub, by).retire(chosen)
        found = listed(hub)
    if as_json:
        print_json(found.document())
        return
    _print(found)
    if Kind.CA in chosen:
        click.echo("start the hub again: until then it takes certificates of the retired authority")


@command.command("backup")
@click.argument("file", type=_FILE)
@_passphrase
@data_dir
def backup(*, file: Path, passphrase_file: Path | None, data_dir: Path) -> None:
    """Write all keys into FILE, encrypted with a passphrase. Keep it apart from the backups of the hub, and offline.

    With both somebody can read everything that the hub has; without the keys nobody can, and no hub can be made out of
    a backup.

    \b
    Examples:
      farshore-hub keys backup /media/stick/hub.keys
      farshore-hub keys backup hub.keys --passphrase-file /run/credentials/passphrase

    \b
    Exit codes: 0 written, 4 it cannot be written, 5 the passphrase is too short, 6 there is such a file already
    """
    with open_hub(data_dir) as hub:
        keep = _keeper(hub, file, passphrase_file)
        with _disk():
            keep(files_of(hub.keys))
    click.echo(f"{file}: the keys of the hub {hub.keys.hub.hex()}")


@command.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_passphrase
@data_dir
def restore_(*, file: Path, passphrase_file: Path | None, data_dir: Path) -> None:
    """Bring back the keys in FILE: for a hub that has lost them, or some, or one that is to be made out of a backup.

    Keys that are there stay, those that are missing are added, retired ones as well: they open what was sealed to them.

    \b
    Examples:
      farshore-hub keys restore /media/stick/hub.keys
      farshore-hub keys restore hub.keys --data-dir /srv/hub
      farshore-hub backup restore /mnt/backup/farshore-5f3c…Z --data-dir /srv/hub

    \b
    Exit codes: 0 restored, 4 the disk is full, 5 no such backup or another passphrase, 6 another hub's keys are there
    """
    with as_caller(), file.open("rb") as opened:
        raw = opened.read(archive.MAX_BYTES + 1)
    hub = archive.hub_of(raw).hex()
    contents = archive.unseal(raw, _given(passphrase_file, f"passphrase of the keys of the hub {hub}", confirm=False))
    with _disk():
        restored = restore(keys_folder(data_dir), contents)
    added = ", ".join(restored.added) or "nothing, they are all there"
    click.echo(f"the keys of the hub {hub} as of {shown_time(contents.made_us)} UTC; added: {added}")
    if restored.newer:
        click.echo("the keys that are there are newer than the backup; they stay in use")


def _keeper(hub: OpenedHub, file: Path, passphrase_file: Path | None) -> Callable[[Files], None]:
    """Writes keys into a new file; the passphrase is asked for at once."""
    with as_caller():
        if file.exists():
            raise Conflict(f"{file} is there already", remedy="name another file")
    passphrase = _given(passphrase_file, "passphrase for the backup of the keys", confirm=True)
    archive.check_passphrase(passphrase)

    def keep(files: Files) -> None:
        contents = Contents(hub.fleet.clock.now_us(), files)
        raw = archive.seal(contents, hub.keys.hub, passphrase, SystemRandom())
        with as_caller():
            write_private(file, raw)

    return keep


def _kept_otherwise(_files: Files) -> None:
    """Whoever says --no-backup keeps them by other means."""


def _given(file: Path | None, prompt: str, *, confirm: bool) -> str:
    """The passphrase, out of a file or from the terminal; never from the arguments, which everybody can read."""
    if file is not None:
        try:
            with as_caller(), file.open("rb") as opened:
                raw = opened.read(_MAX_PASSPHRASE_BYTES)
            return raw.decode().splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            raise Invalid(f"{file} cannot be read as a passphrase: {error}") from None
    if not sys.stdin.isatty():
        raise Invalid("there is nobody to be asked for the passphrase", remedy="name a file with --passphrase-file")
    asked: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return asked


def _ask(found: KeyList, kinds: Iterable[Kind]) -> None:
    what = ", ".join(sorted(kinds))
    late = f"{found.unheard} of {found.sites} active sites were not heard since the newest keys were announced"
    if not sys.stdin.isatty() or not click.confirm(f"{late}. Retire the older keys of {what}?", err=True):
        raise Invalid("nothing was retired", remedy="say --yes where nobody can be asked")


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise NotReady(f"{where}{error.strerror}", remedy="is the disk full, and may this user write there?") from None


def _print(found: KeyList) -> None:
    rows = [[each.kind, each.id, each.use, each.file] for each in found.keys]
    print_table(("for", "name", "use", "file"), rows)
    if found.keyring:
        click.echo(f"announced {shown_time(found.made_us)}; not heard since: {found.unheard} of {found.sites} sites")
