"""Puts the measured figures into docs/benchmarks.md: a table for each JSON line, between the two marks of the page.

python -m tests.benchmarks.page RESULTS.jsonl [docs/benchmarks.md]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.rig.command import Figure

BEGIN: Final = "<!-- figures: written by tests/benchmarks/page.py -->"
END: Final = "<!-- end of figures -->"
_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
_DEFAULTS: Final = {"store": "sqlite", "effort": "auto"}


def with_figures(page: str, results: str) -> str:
    """The page with these results in the place of what was between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no part between {BEGIN!r} and {END!r}")
    tables = "\n".join(line for result in results.splitlines() for line in _table(json.loads(result)))
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def _table(result: dict[str, Any]) -> Iterator[str]:
    machine = result["machine"]
    yield f"### `{_command_of(result)}`"
    yield ""
    yield (
        f"{result['at'][:10]}, commit {result['commit']}, {machine['cores']} cores ({machine['cpu']}), "
        f"Python {machine['python']}, load {machine['load']} before and {machine['load_after']} after, "
        f"{result['took_s']:.0f} s."
    )
    yield ""
    yield "| figure | measured | to reach | |"
    yield "|---|--:|--:|---|"
    for told in result["figures"]:
        verdict = told.pop("verdict")
        figure = Figure(**told)
        yield f"| {figure.name} | {figure.shown} {figure.unit} | {figure.bar} | {verdict} |"
    yield ""


def _command_of(result: dict[str, Any]) -> str:
    words = [result["benchmark"]]
    for key, value in result["options"].items():
        if value and _DEFAULTS.get(key) != value:
            given = value if isinstance(value, list) else [value]
            shown = [f"{each:,}" if type(each) is int else str(each) for each in given]
            words += [f"--{key.replace('_', '-')}", *shown]
    return " ".join(words)


if __name__ == "__main__":
    path = Path(sys.argv[2]) if len(sys.argv) > 2 else _PAGE
    path.write_text(with_figures(path.read_text(), Path(sys.argv[1]).read_text()))
