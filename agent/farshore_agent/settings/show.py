"""The settings in force, a line for each, with where its value comes from. What looks like a secret is not shown."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from farshore_agent.settings.agent import AgentSettings
from farshore_agent.settings.kinds import Inner
from farshore_agent.settings.layers import Effective, KeyPath, Tables, paths
from farshore_agent.settings.table import Setting, Table, settings_of
from farshore_agent.settings.units import Quantity

HIDDEN: Final = "…"
_SECRET: Final = re.compile(r"passw|passphrase|secret|token|credential|api_?key|private", re.IGNORECASE)
_WITH_PASSWORD: Final = re.compile(r"://[^/\s@]+@")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class Origin(enum.StrEnum):
    """Where a value comes from."""

    DEFAULT = "default"
    FILE = "file"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting: its key path as in TOML, its value as a file would have it, and whose it is."""

    key: str
    value: Any
    origin: Origin

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.key} = {json.dumps(self.value, ensure_ascii=False, default=str)}"


def shown(effective: Effective, *, secrets: bool = False) -> Iterator[Shown]:
    """All settings: those of the fixed tables with their defaults, those under names of the user's as far as given.

    What looks like a secret by its key, or a password in an address, is left out unless `secrets` are wanted.
    """
    for path, value, origin in _all(AgentSettings, effective.tables, effective.pushed, ()):
        yield Shown(_key(path), value if secrets else _without_secrets(path, value), origin)


def _all(table: type[Table], given: Tables, pushed: Tables, at: KeyPath) -> Iterator[tuple[KeyPath, Any, Origin]]:
    for each in settings_of(table):
        path = (*at, each.key)
        if isinstance(each.kind, Inner):
            inner, above = given.get(each.key, {}), pushed.get(each.key, {})
            yield from _all(each.kind.table, inner, above, path)
        elif each.key not in given:
            if not isinstance(each.default, dict):
                yield path, _default(each), Origin.DEFAULT
        elif isinstance(given[each.key], dict):
            for inner_path in paths(given[each.key]):
                origin = Origin.HUB if _has(pushed.get(each.key, {}), inner_path) else Origin.FILE
                yield (*path, *inner_path), _at(given[each.key], inner_path), origin
        else:
            yield path, given[each.key], Origin.HUB if each.key in pushed else Origin.FILE


def _default(each: Setting) -> Any:  # noqa: ANN401 - a value of any kind
    value = each.default
    if isinstance(each.kind, Quantity):
        return each.kind.shown(value)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path | enum.Enum) else value


def _at(tables: Any, path: KeyPath) -> Any:  # noqa: ANN401 - a value of any kind
    for key in path:
        tables = tables[key]
    return tables


def _has(tables: Any, path: KeyPath) -> bool:  # noqa: ANN401 - a value of any kind
    for key in path:
        if not isinstance(tables, dict) or key not in tables:
            return False
        tables = tables[key]
    return True


def _key(path: KeyPath) -> str:
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in path)


def _without_secrets(path: KeyPath, value: Any) -> Any:  # noqa: ANN401 - a value of any kind
    if _SECRET.search(path[-1]):
        return HIDDEN
    if isinstance(value, list):
        return [_without_secrets(path, each) for each in value]
    if isinstance(value, dict):
        return {key: _without_secrets((*path, key), each) for key, each in value.items()}
    return _WITH_PASSWORD.sub(f"://{HIDDEN}@", value) if isinstance(value, str) else value
