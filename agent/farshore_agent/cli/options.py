"""Options that several commands have, and where the settings file is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from farshore_agent.settings import AgentSettings

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


def load_settings(given: Path | None) -> AgentSettings:
    """Read the settings file.

    Raises:
        SettingsError: with all that is wrong.
    """
    from farshore_agent.settings import load

    return load(settings_path(given))


def open_state(given: Path | None) -> AgentSettings:
    """Read the settings file, for a command that uses the state folder; root does so as the folder's owner.

    Raises:
        SettingsError: with all that is wrong.
        AgentError: this user may not use the folder.
    """
    from farshore_agent.errors import AgentError
    from farshore_shell.owner import NotOurs, act_as_owner_of

    settings = load_settings(given)
    try:
        act_as_owner_of(settings.state_dir)
    except NotOurs as error:
        raise AgentError(f"{settings.state_dir} cannot be used by this user", remedy=str(error)) from None
    return settings
