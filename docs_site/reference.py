"""The reference pages, made from the code: every command with its help, every key of both settings files."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from farshore_agent.cli import root as agent
from farshore_agent.settings.agent import AgentSettings
from farshore_agent.settings.inputs import installed, settings_table
from farshore_agent.settings.rooms import BufferSettings, ForwardSettings, SealSettings
from farshore_agent.settings.streams import StreamSettings
from farshore_agent.settings.table import REQUIRED, Table, settings_of
from farshore_agent.settings.tables import TableSettings
from farshore_hub.cli.root import root as hub
from farshore_hub.settings import HubSettings

_WIDTH: Final = 100
_KINDS: Final = {
    "boolean": "`true` or `false`",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "table": "a table",
}
_TIMES: Final = {"d": 86_400, "h": 3_600, "min": 60, "s": 1, "ms": 0.001}
_SIZES: Final = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}
_AGENT_TABLES: Final[dict[str, type[Table]]] = {
    "": AgentSettings,
    "[stream_defaults] and [streams.NAME]": StreamSettings,
    "[buffer]": BufferSettings,
    "[seal]": SealSettings,
    "[forward]": ForwardSettings,
    "[tables.NAME]": TableSettings,
}
_ATTRIBUTE: Final = re.compile(r"^    (?P<names>[a-z_][a-z_, ]*): (?P<what>.*(?:\n {8,}.*)*)", re.MULTILINE)


def pages() -> dict[str, str]:
    """By path, the pages of the reference."""
    return {
        "reference/farshore-agent.md": _commands("farshore-agent", agent),
        "reference/farshore-hub.md": _commands("farshore-hub", hub),
        "reference/agent-settings.md": _agent_settings(),
        "reference/hub-settings.md": _hub_settings(),
    }


# ------------------------------------------------------------------ commands


def _commands(name: str, group: click.Group) -> str:
    lines = [f"# {name}", "", "As the command says itself with `--help`.", ""]
    for path, command in _all(name, group):
        lines += [f"{'#' * (1 + len(path.split()))} {path}", "", "```text", _help(path, command), "```", ""]
    return "\n".join(lines)


def _all(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        if path.count(" "):
            yield path, command
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            if found is not None:
                yield from _all(f"{path} {name}", found)
    else:
        yield path, command


def _help(path: str, command: click.Command) -> str:
    return command.get_help(click.Context(command, info_name=path, max_content_width=_WIDTH, terminal_width=_WIDTH))


# ------------------------------------------------------------------ settings


def _agent_settings() -> str:
    lines = [
        "# farshore-agent.toml",
        "",
        "One TOML file, checked whole: `farshore-agent check`. `farshore-agent schema` prints its schema for editors.",
        "",
    ]
    tables = dict(_AGENT_TABLES)
    for name, kind in installed().items():
        tables[f'[inputs.NAME] with type = "{name}"'] = settings_table(kind)
    for title, table in tables.items():
        lines += [f"## {title or 'At the top'}", ""] + ([f"{_summary(table)}", ""] if title else [])
        lines += ["| key | default | what it may be | what it is for |", "|---|---|---|---|"]
        said = _said(table)
        for each in settings_of(table):
            schema = each.kind.schema()
            if "$ref" in schema or "$ref" in str(schema.get("additionalProperties", "")):
                continue
            default = "must be given" if each.default is REQUIRED or each.is_required else _shown(each.default, schema)
            lines.append(_row(each.key, default, _values(schema), said.get(each.attribute, "")))
        lines.append("")
    return "\n".join(lines)


def _hub_settings() -> str:
    schema = HubSettings.model_json_schema()
    lines = [
        "# hub.toml",
        "",
        "In the hub's folder, checked whole at every start. Paths in it are relative to that folder.",
        "",
    ]
    lines += _model("At the top", schema, schema["$defs"])
    for name, given in schema["properties"].items():
        inner, title = _inner(name, given)
        if inner:
            lines += _model(title, schema["$defs"][inner], schema["$defs"])
    return "\n".join(lines)


def _model(title: str, schema: dict[str, Any], known: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    lines = [f"## {title}", "", schema.get("description", ""), ""]
    lines += ["| key | default | what it may be | what it is for |", "|---|---|---|---|"]
    for name, given in schema["properties"].items():
        if _inner(name, given)[0]:
            continue  # a table with a section of its own
        values = _values(known.get(_ref(given), given))
        default = "must be given" if name in required else _shown(given.get("default"), given)
        lines.append(_row(name, default, values, given.get("description", "")))
    return [*lines, ""]


def _inner(name: str, given: dict[str, Any]) -> tuple[str, str]:
    """The name of the table that a property is, and how a file writes it; two empty strings if it is a value."""
    for each in (given, *given.get("anyOf", [])):
        if _ref(each) and (each is not given or isinstance(given.get("default"), dict)):
            return _ref(each), f"[{name}]"
    if found := _ref(given.get("items", {})):
        return found, f"[[{name}]]"
    if isinstance(given.get("additionalProperties"), dict) and (found := _ref(given["additionalProperties"])):
        return found, f"[{name}.NAME]"
    return "", name


def _ref(given: dict[str, Any]) -> str:
    return str(given.get("$ref", "")).rpartition("/")[2]


# --------------------------------------------------------------------- words


def _row(*cells: str) -> str:
    first, *others = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| `{first}` | {' | '.join(others)} |"


def _summary(table: type[Table]) -> str:
    return (inspect.getdoc(table) or "").partition("\n\n")[0].replace("\n", " ")


def _said(table: type[Table]) -> dict[str, str]:
    """What the docstrings of a table and of those that it extends say of its attributes."""
    said: dict[str, str] = {}
    for each in reversed(table.__mro__):
        for found in _ATTRIBUTE.finditer(inspect.getdoc(each) or ""):
            said |= dict.fromkeys(found["names"].replace(" ", "").split(","), found["what"])
    return said


def _shown(default: object, schema: dict[str, Any]) -> str:
    if default is None:
        return ""
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        patterns = [each.get("pattern", "") for each in (schema, *schema.get("anyOf", []))]
        if any("min" in pattern for pattern in patterns):
            return f"`{_in_units(default, _TIMES)}`"
        if any("MiB" in pattern for pattern in patterns):
            return f"`{_in_units(default, _SIZES)}`"
    return f"`{json.dumps(default, default=str, ensure_ascii=False)}`"


def _in_units(value: float, units: Mapping[str, float]) -> str:
    """In the largest unit in which it is whole."""
    return next(
        (f"{value / each:g} {unit}" for unit, each in units.items() if value and value % each == 0), f"{value:g}"
    )


def _values(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        kinds = dict.fromkeys(_values(each) for each in schema["anyOf"] if each.get("type") != "null")
        return " or ".join(kinds)
    if words := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{json.dumps(word)}`" for word in words)
    match schema.get("type", "table"):
        case "array":
            return f"a list of: {_values(schema.get('items', {}))}"
        case "object":
            return f"a table of names, each: {_values(schema.get('additionalProperties') or {})}"
        case kind:
            return f"{_KINDS[kind]}{_bounds(schema)}"


def _bounds(schema: dict[str, Any]) -> str:
    if examples := schema.get("examples"):
        return f" such as `{json.dumps(examples[0])}`"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None:
        return ""
    return f", at least {low:,}" if high is None else f" from {low:,} to {high:,}"
