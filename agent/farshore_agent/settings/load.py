"""From the settings file to `AgentSettings`, or to every problem that the file has."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from farshore_agent.errors import Problem, SettingsError
from farshore_agent.settings import inputs
from farshore_agent.settings.agent import AgentSettings, conflicts
from farshore_agent.settings.explain import closest, explain
from farshore_agent.settings.inputs import InputSettings
from farshore_agent.settings.table import Table
from farshore_protocol.limits import KIB

T = TypeVar("T", bound=Table)

MAX_BYTES: Final = 1024 * KIB
"""Of a settings file: a thousand streams take a tenth of it."""


def load(path: Path) -> AgentSettings:
    """Read and check a settings file. Relative paths in it start at its folder.

    Raises:
        SettingsError: with all that is wrong.
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
    return parse(text, source=str(path), folder=path.absolute().parent)


def parse(
    text: str, *, source: str = "settings", folder: Path | None = None, kinds: Mapping[str, EntryPoint] | None = None
) -> AgentSettings:
    """Check the text of a settings file. `kinds` are the input types that there are; the installed ones by default.

    Raises:
        SettingsError: with all that is wrong.
    """
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise SettingsError(source, [Problem("", "is not TOML that can be read: it is nested too deep")]) from None
    except ValueError as error:  # TOMLDecodeError, and what Python says of a number of too many digits
        raise SettingsError(source, [Problem("", f"is not TOML: {error}")]) from None
    reading = _Reading(folder, inputs.installed() if kinds is None else kinds)
    given = reading.inputs(tables.pop("inputs", {}))
    settings = reading.table(AgentSettings, tables, at=())
    if settings is not None:
        settings = settings.model_copy(update={"inputs": given})
        reading.problems.extend(conflicts(settings))
    if reading.problems or settings is None:
        raise SettingsError(source, reading.problems)
    return settings


class _Reading:
    """Collects problems while tables become models."""

    def __init__(self, folder: Path | None, kinds: Mapping[str, EntryPoint]) -> None:
        self._context = {"folder": folder}
        self._kinds = kinds
        self.problems: list[Problem] = []

    def table(self, model: type[T], table: object, *, at: tuple[str, ...]) -> T | None:
        try:
            return model.model_validate(table, context=self._context, by_alias=True, by_name=False)
        except ValidationError as error:
            self.problems.extend(explain(error, model, at))
            return None

    def inputs(self, tables: object) -> dict[str, InputSettings]:
        if not isinstance(tables, dict):
            self.problems.append(Problem("inputs", "is not a table", "write [inputs.NAME]"))
            return {}
        read = {name: self._input(name, table) for name, table in tables.items()}
        return {name: one for name, one in read.items() if one is not None}

    def _input(self, name: str, table: object) -> InputSettings | None:
        kind = table.get("type") if isinstance(table, dict) else None
        if not isinstance(kind, str) or kind not in self._kinds:
            self.problems.append(self._unknown_kind(name, kind))
            return None
        try:
            model = inputs.settings_model(self._kinds[kind])
        except (ImportError, AttributeError, TypeError) as error:
            self.problems.append(Problem(f"inputs.{name}.type", f"{kind!r} cannot be loaded: {error}"))
            return None
        return self.table(model, table, at=("inputs", name))

    def _unknown_kind(self, name: str, kind: object) -> Problem:
        known = ", ".join(self._kinds)
        if kind is None:
            return Problem(f"inputs.{name}.type", "is missing", f"one of {known}")
        return Problem(f"inputs.{name}.type", f"{kind!r} is not one of {known}", closest(kind, self._kinds))
