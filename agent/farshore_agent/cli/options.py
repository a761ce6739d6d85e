"""Options that several commands have, and where the settings file is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from farshore_agent.settings import AgentSettings
    from farshore_agent.settings.layers import LocalFile

HERE: Final = Path("farshore-agent.toml")
SYSTEM: Final = Path("/etc/farshore-agent/agent.toml")

_FILE: Final = click.Path(dir_okay=False, path_type=Path)

config: Final = click.option("--config", type=_FILE, help="The settings file.")
"""For a command: `farshore-agent run --config FILE`; before the command it means the same."""

as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def settings_path(given: Path | None) -> Path:
    """The settings file: as given to the command or before it, or the first default that is there."""
    named = given or click.get_current_context().find_root().params.get("config")
    if isinstance(named, Path):
        return named
    return HERE if HERE.exists() or not SYSTEM.exists() else SYSTEM


def load_file(given: Path | None) -> LocalFile:
    """Read the site's own settings file.

    Raises:
        SettingsError: with all that is wrong.
    """
    from farshore_agent.settings.layers import load_file as load

    return load(settings_path(given))


def open_state(given: Path | None) -> AgentSettings:
    """The settings in force, those of the hub included, for a command that uses the state folder; see `open_file`."""
    from farshore_agent.orders.force import peek

    return peek(open_file(given)).settings


def open_file(given: Path | None) -> LocalFile:
    """Read the settings file, for a command that uses the state folder; root does so as the folder's owner.

    Raises:
        SettingsError: with all that is wrong.
        AgentError: this user may not use the folder.
    """
    from farshore_agent.errors import AgentError
    from farshore_shell.owner import NotOurs, act_as_owner_of

    local = load_file(given)
    try:
        act_as_owner_of(local.settings.state_dir)
    except NotOurs as error:
        raise AgentError(f"{local.settings.state_dir} cannot be used by this user", remedy=str(error)) from None
    return local
