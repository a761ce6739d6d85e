"""Pydantic's findings in the words of the settings file: key path, what is wrong, what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from farshore_agent.errors import Problem

_MAX_SHOWN_CHARS: Final = 200

_KINDS: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
}
"""What was expected, by pydantic's name of the error."""


def explain(error: ValidationError, model: type[BaseModel], at: tuple[str, ...]) -> Iterator[Problem]:
    """Every finding of `error`, whose model's table stands at the key path `at`."""
    for finding in error.errors(include_url=False):
        yield _problem(finding, model, at)


def closest(given: object, known: Iterable[str]) -> str:
    """The remedy for a word that is probably a misspelling, or nothing."""
    matches = difflib.get_close_matches(str(given), list(known), n=1)
    return f"did you mean {matches[0]!r}?" if matches else ""


def _problem(finding: ErrorDetails, model: type[BaseModel], at: tuple[str, ...]) -> Problem:
    location = [str(part) for part in finding["loc"] if part != "[key]"]
    key, given, kind = ".".join([*at, *location]), finding["input"], finding["type"]
    shown = _shown(given)
    context: dict[str, Any] = finding.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return Problem(key, "is not a known key", closest(location[-1], known) or f"known are {', '.join(known)}")
    if kind in {"enum", "literal_error"}:
        known = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return Problem(
            key, f"{shown} is not one of {', '.join(known)}", closest(given, known) if isinstance(given, str) else ""
        )
    if kind == "missing":
        return Problem(key, "is missing")
    if kind == "value_error":
        return Problem(key, str(context["error"]))
    if kind in _KINDS:
        return Problem(key, f"{shown} is not {_KINDS[kind]}")
    return Problem(key, f"{shown} {finding['msg'].removeprefix('Input ')}")


def _shown(given: object) -> str:
    try:
        text = repr(given)
    except ValueError:  # an integer of so many digits that Python does not print it
        return "a number of too many digits"
    return text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "…"


def _keys_at(model: type[BaseModel], location: Iterable[str]) -> list[str]:
    """The keys of the table at that place: `model` itself, or a table inside it."""
    for part in location:
        inside = _model_under(model, part)
        model = inside or model
    return [str(field.validation_alias or name) for name, field in model.model_fields.items()]


def _model_under(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model of the table or of the tables under `key`; None for a key that names one of several tables."""
    field = model.model_fields.get(key)
    if field is None:
        return None
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
