"""What a shell needs to complete our commands, from click."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

_SHELLS: Final[dict[str, type[ShellComplete]]] = {
    "usr/share/bash-completion/completions/{name}": BashComplete,
    "usr/share/zsh/vendor-completions/_{name}": ZshComplete,
    "usr/share/fish/vendor_completions.d/{name}.fish": FishComplete,
}


def write_completions(command: click.Command, name: str, into: Path) -> None:
    """Write the three files below the root folder `into`."""
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    for where, shell in _SHELLS.items():
        path = into / where.format(name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # `source` of bash asks the bash of this machine for its version; the text itself does not depend on it.
        made = shell(command, {}, name, variable)
        path.write_text(made.source_template % made.source_vars())
