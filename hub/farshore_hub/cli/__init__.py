"""The command `farshore-hub`. It is installed with the agent too, and then says how to get the rest."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Final

_NEEDED: Final = ("alembic", "deltalake", "duckdb", "fastapi", "prometheus_client", "pyarrow", "sqlalchemy", "uvicorn")
"""What the extra `hub` brings. Only looked for, not imported."""


def main() -> None:
    """Run the command, or say what is not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(f"error: the hub's packages are not installed ({', '.join(missing)})\n")
        sys.stderr.write("what to do: pip install 'farshore[hub]'\n")
        sys.exit(1)
    import_module("farshore_hub.cli.root").main()
