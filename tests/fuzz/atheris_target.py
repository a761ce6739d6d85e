"""Fuzzes one target until it is stopped: `python -m tests.fuzz.atheris_target NAME [OPTION | FOLDER]…`."""

from __future__ import annotations

import sys
import warnings

import atheris

with (
    warnings.catch_warnings(),
    atheris.instrument_imports(include=["farshore_protocol", "farshore_agent", "farshore_hub"]),
):
    warnings.simplefilter("ignore")
    from tests.fuzz.all_targets import find


def main() -> None:
    """Run libFuzzer, which ends the process."""
    name = sys.argv.pop(1)
    run = find(name).run
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
