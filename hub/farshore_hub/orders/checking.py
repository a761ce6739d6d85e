"""Desired settings against the schema that a site introduced itself with, and what it lets the hub change. Pure.

The schema comes from the site, which may be hostile: only the keywords that describe settings are used, references are
put in their place up to a bound, and nothing is ever fetched. What a site's own file says already may be left out, so
nothing is required here; the agent checks the whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import zstandard
from jsonschema_rs import ValidationError

from farshore_hub.orders.layers import Path, Problem
from farshore_hub.orders.rendering import Rendered
from farshore_protocol.limits import KIB

MAX_SCHEMA_BYTES: Final = 2 * 1024 * KIB
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 48
MAX_PROBLEMS: Final = 50

_PLAIN: Final = (
    "type", "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
)  # fmt: skip
_SCHEMA: Final = ("additionalProperties", "items", "propertyNames")
_SCHEMAS: Final = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_DEFINITIONS: Final = "#/$defs/"
_MASK: Final = "the value"
_REMEDY: Final = "farshore-agent schema says what there is"

Checker = Callable[[Any], Iterable[ValidationError]]


class BadSchema(Exception):
    """A site's schema cannot be used."""


def problems_of(rendered: Rendered, filled: dict[str, Any], schema: bytes, accepts: Iterable[str]) -> list[Problem]:
    """Everything that the site would refuse; no text of it shows a secret.

    Args:
        rendered: which file says what.
        filled: the settings with their secrets.
        schema: of the site, compressed as it came.
        accepts: what the site lets the hub change, as in `streams` or `forward.heartbeat`.
    """
    allowed = [tuple(each.split(".")) for each in accepts]
    problems = [
        Problem(rendered.file_of(at), at, "may not be changed from here", _accept_remedy(at[0]))
        for at in _keys(filled)
        if not _is_in(at, allowed)
    ]
    try:
        errors = list(_checker(schema)(_plain(filled)))
    except BadSchema as bad:
        return [*problems, Problem("the site's schema", (), str(bad), "upgrade the agent")]
    for error in errors[:MAX_PROBLEMS]:
        problems += [
            Problem(rendered.file_of(at), at, what, _REMEDY)
            for at, what in _said(error, rendered.document)
            if not at or _is_in(at, allowed)
        ]
    return problems[:MAX_PROBLEMS]


def _keys(tables: dict[str, Any], at: Path = ()) -> Iterator[Path]:
    """Every key that has a value; a table without keys counts as one."""
    for key, value in tables.items():
        if isinstance(value, dict) and value:
            yield from _keys(value, (*at, key))
        else:
            yield (*at, key)


def _is_in(at: Path, allowed: Iterable[Path]) -> bool:
    return any(at[: len(each)] == each for each in allowed)


@lru_cache(maxsize=64)
def _checker(compressed: bytes) -> Checker:
    """Sites of one version and with the same inputs have the same schema.

    Raises:
        BadSchema: it cannot be read.
    """
    try:
        raw = zstandard.ZstdDecompressor().decompress(compressed, max_output_size=MAX_SCHEMA_BYTES)
        schema = _Usable(json.loads(raw)).whole()
        return jsonschema_rs.Draft202012Validator(
            schema, mask=_MASK, pattern_options=jsonschema_rs.RegexOptions()
        ).iter_errors
    except (zstandard.ZstdError, ValueError, RecursionError, TypeError) as error:
        raise BadSchema(f"cannot be used: {str(error)[:200]}") from None


class _Usable:
    """What can be used of a schema."""

    def __init__(self, schema: Any) -> None:  # noqa: ANN401 - JSON
        if not isinstance(schema, dict):
            raise TypeError("it is not an object")
        self._schema = schema
        definitions = schema.get("$defs")
        self._definitions: dict[str, Any] = definitions if isinstance(definitions, dict) else {}
        self._nodes = 0

    def whole(self) -> dict[str, Any] | bool:
        """The schema of the whole document."""
        return self._used(self._schema, 0)

    def _used(self, schema: Any, depth: int) -> dict[str, Any] | bool:  # noqa: ANN401 - JSON
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError("it is too large, nested too deep, or names itself")
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise TypeError("a part of it is no schema")
        named = schema.get("$ref")
        if isinstance(named, str):
            return self._used(self._definitions.get(named.removeprefix(_DEFINITIONS), True), depth + 1)
        used: dict[str, Any] = {key: schema[key] for key in _PLAIN if key in schema}
        if isinstance(schema.get("properties"), dict):
            used["properties"] = {key: self._used(each, depth + 1) for key, each in schema["properties"].items()}
        used |= {key: self._used(schema[key], depth + 1) for key in _SCHEMA if key in schema}
        used |= {
            ours: [self._used(each, depth + 1) for each in schema[theirs]]
            for theirs, ours in _SCHEMAS.items()
            if isinstance(schema.get(theirs), list)
        }
        return used


def _said(error: ValidationError, shown: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Where it is wrong, and what."""
    kind: Any = error.kind
    at = tuple(map(str, error.instance_path))
    if kind.name == "additionalProperties":
        yield from (((*at, name), "is not known to this agent") for name in kind.unexpected)
    elif kind.name in ("anyOf", "oneOf"):
        yield from _closest(error, kind.context, shown)
    else:
        value = _found(shown, error.instance_path)
        yield at, f"= {json.dumps(value, default=str, ensure_ascii=False)[:80]}: {error.message}"


def _closest(
    error: ValidationError, branches: list[list[ValidationError]], shown: dict[str, Any]
) -> Iterator[tuple[Path, str]]:
    """Of several ways to be right the one that was meant: its `type` fits, or it fits best."""
    at = tuple(map(str, error.instance_path))

    def misfit(branch: list[ValidationError]) -> tuple[bool, int]:
        return any(tuple(map(str, each.instance_path)) == (*at, "type") for each in branch), len(branch)

    if isinstance(_found(shown, error.instance_path), dict) and branches:
        for each in min(branches, key=misfit):
            yield from _said(each, shown)
    else:
        whys = dict.fromkeys(what for branch in branches for each in branch for _, what in _said(each, shown))
        value = json.dumps(_found(shown, error.instance_path), default=str, ensure_ascii=False)[:80]
        yield at, " or ".join(why.partition(": ")[2] or why for why in whys).join((f"= {value}: ", ""))


def _found(shown: Any, path: Iterable[str | int]) -> Any:  # noqa: ANN401 - TOML's
    """What stands there as people may see it."""
    for part in path:
        shown = shown[part]
    return shown


def _plain(value: Any) -> Any:  # noqa: ANN401 - TOML's
    """As JSON: TOML's times are texts there."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    is_json = isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else str(value)


def _accept_remedy(key: str) -> str:
    return f"leave it out, or let the site's owner add {json.dumps(key)} to accept in the table [orders] there"
