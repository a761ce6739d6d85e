"""The hub's settings over the site's own file: what may be changed, and the whole that results. Pure.

Both are tables of TOML as they were read; the whole is checked as a file is checked, and a problem says which of the
two it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from farshore_agent.errors import Problem, SettingsError
from farshore_agent.settings.agent import AgentSettings
from farshore_agent.settings.load import check, read, tables_of
from farshore_agent.settings.orders import NEVER

HUB: Final = "the hub's settings"

Tables = Mapping[str, Any]
KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalFile:
    """The site's own settings file, found valid.

    Attributes:
        tables: as they stand in it.
        source: its name, for people.
        folder: where relative paths start, those of the hub's settings too.
        settings: what it says by itself.
    """

    tables: Tables
    source: str
    folder: Path | None
    settings: AgentSettings


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings that are in force, and what they are made of."""

    settings: AgentSettings
    tables: Tables
    pushed: Tables


def load_file(path: Path) -> LocalFile:
    """Read and check the site's own file.

    Raises:
        SettingsError: with all that is wrong.
    """
    source, folder = str(path), path.absolute().parent
    tables = tables_of(read(path), source)
    return LocalFile(tables, source, folder, check(tables, source=source, folder=folder))


def alone(local: LocalFile) -> Effective:
    """The site's file, and nothing over it."""
    return Effective(local.settings, local.tables, {})


def over(local: LocalFile, pushed: str, accept: Sequence[str]) -> Effective:
    """The hub's settings, which are TOML, over the site's file.

    Raises:
        SettingsError: with all that is wrong, or not accepted here.
    """
    tables = tables_of(pushed, HUB)
    if refused := list(_refused(tables, accept)):
        raise SettingsError(HUB, refused)
    whole = merged(local.tables, tables)
    try:
        return Effective(check(whole, source=HUB, folder=local.folder), whole, tables)
    except SettingsError as error:
        problems = [_with_fault(each, tables, local.source) for each in error.problems]
        raise SettingsError(HUB, problems) from None


def merged(under: Tables, above: Tables) -> dict[str, Any]:
    """Key by key, tables within tables; anything that is not a table replaces what was there."""
    whole = dict(under)
    for key, value in above.items():
        below = whole.get(key)
        whole[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return whole


def paths(tables: Tables, at: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key that has a value; a table without keys counts as one."""
    for key, value in tables.items():
        if isinstance(value, dict) and value:
            yield from paths(value, (*at, key))
        else:
            yield (*at, key)


def is_accepted(path: KeyPath, accept: Sequence[str]) -> bool:
    """Whether the hub may give a value to that key."""
    return path[0] not in NEVER and any(path[: len(parts)] == parts for parts in (tuple(e.split(".")) for e in accept))


def is_in(path: KeyPath, tables: Tables) -> bool:
    """Whether these tables say anything at that path, above it or below it."""
    found: Any = tables
    for key in path:
        if not isinstance(found, dict):
            return True
        if key not in found:
            return False
        found = found[key]
    return True


def _refused(tables: Tables, accept: Sequence[str]) -> Iterator[Problem]:
    for path in paths(tables):
        if path[0] in NEVER:
            yield Problem(".".join(path), "no hub may change it", "change it in the site's file")
        elif not is_accepted(path, accept):
            remedy = f"its owner can add {path[0]!r} to accept in the table [orders] of its file"
            yield Problem(".".join(path), "this site does not let its hub change it", remedy)


def _with_fault(problem: Problem, pushed: Tables, source: str) -> Problem:
    if is_in(tuple(problem.key.split(".")), pushed):
        return Problem(f"{HUB}: {problem.key}", problem.why, problem.remedy)
    return Problem(f"{source}, with {HUB} over it: {problem.key}", problem.why, problem.remedy)
