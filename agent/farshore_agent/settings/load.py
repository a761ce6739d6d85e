"""From the settings file to `AgentSettings`, or to every problem that the file has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from farshore_agent.errors import Problem, SettingsError
from farshore_agent.settings import inputs
from farshore_agent.settings.agent import AgentSettings, conflicts
from farshore_agent.settings.inputs import InputSettings, InputType
from farshore_agent.settings.read import closest, read_table, shown
from farshore_agent.settings.streams import StreamSettings
from farshore_agent.settings.table import Reading
from farshore_protocol.limits import KIB
from farshore_protocol.toml import read_toml

MAX_BYTES: Final = 1024 * KIB
"""Of a settings file: a thousand streams take a tenth of it."""


def load(path: Path) -> AgentSettings:
    """Read and check a settings file. Relative paths in it start at its folder.

    Raises:
        SettingsError: with all that is wrong.
    """
    return parse(read(path), source=str(path), folder=path.absolute().parent)


def read(path: Path) -> str:
    """The text of a settings file.

    Raises:
        SettingsError: there is none that can be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        remedy = "name another file with --config" if isinstance(error, FileNotFoundError) else ""
        raise SettingsError(str(path), [Problem("", f"cannot be read: {error.strerror}", remedy)]) from None
    except UnicodeDecodeError as error:
        problem = Problem("", f"is not UTF-8 at byte {error.start}", "save it as UTF-8")
        raise SettingsError(str(path), [problem]) from None
    if len(raw) > MAX_BYTES:
        raise SettingsError(str(path), [Problem("", f"has more than {MAX_BYTES} bytes: is this the right file?")])
    return text


def parse(
    text: str, *, source: str = "settings", folder: Path | None = None, kinds: Mapping[str, InputType] | None = None
) -> AgentSettings:
    """Check the text of a settings file. `kinds` are the input types that there are; the installed ones by default.

    Raises:
        SettingsError: with all that is wrong.
    """
    return check(tables_of(text, source), source=source, folder=folder, kinds=kinds)


def tables_of(text: str, source: str) -> dict[str, Any]:
    """The tables of a text of TOML.

    Raises:
        SettingsError: it is none.
    """
    try:
        return read_toml(text)
    except ValueError as error:
        raise SettingsError(source, [Problem("", f"is not TOML: {error}")]) from None


def check(
    given: Mapping[str, Any],
    *,
    source: str = "settings",
    folder: Path | None = None,
    kinds: Mapping[str, InputType] | None = None,
) -> AgentSettings:
    """Check the tables of a settings file; see `parse`.

    Raises:
        SettingsError: with all that is wrong.
    """
    reading = Reading(folder)
    tables = dict(given)
    defaults = read_table(StreamSettings, tables.get("stream_defaults", {}), (), Reading(folder))
    if defaults is not None:
        reading.defaults[StreamSettings] = defaults
    named = _inputs(tables.pop("inputs", {}), inputs.installed() if kinds is None else kinds, reading)
    settings = read_table(AgentSettings, tables, (), reading)
    if settings is not None:
        settings = replace(settings, inputs=named)
        reading.problems.extend(conflicts(settings))
    if reading.problems or settings is None:
        raise SettingsError(source, reading.problems)
    return settings


def _inputs(tables: object, kinds: Mapping[str, InputType], reading: Reading) -> dict[str, InputSettings]:
    if not isinstance(tables, dict):
        reading.wrong(("inputs",), "is not a table", "write [inputs.NAME]")
        return {}
    read = {name: _input(("inputs", name), table, kinds, reading) for name, table in tables.items()}
    return {name: one for name, one in read.items() if one is not None}


def _input(
    at: tuple[str, ...], given: object, kinds: Mapping[str, InputType], reading: Reading
) -> InputSettings | None:
    kind = given.get("type") if isinstance(given, dict) else None
    if kind is None:
        reading.wrong((*at, "type"), "is missing", f"one of {', '.join(kinds)}")
        return None
    if not isinstance(kind, str) or kind not in kinds:
        reading.wrong((*at, "type"), f"{shown(kind)} is not one of {', '.join(kinds)}", closest(kind, kinds))
        return None
    try:
        table = inputs.settings_table(kinds[kind])
    except (ImportError, AttributeError, TypeError) as error:
        reading.wrong((*at, "type"), f"{kind!r} cannot be loaded: {error}")
        return None
    return read_table(table, given, at, reading)
