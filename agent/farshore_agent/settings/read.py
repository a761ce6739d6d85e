"""From a table of the file to a `Table`, or to every problem that it has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, TypeVar

from farshore_agent.settings.table import Reading, Setting, Table, Wrong, settings_of

T = TypeVar("T", bound=Table)

_MAX_SHOWN_CHARS: Final = 200


def read_table(table: type[T], given: object, at: tuple[str, ...], reading: Reading, base: T | None = None) -> T | None:
    """The table; None where something is wrong, which `reading` has then. What is not given is as in `base`."""
    if not isinstance(given, dict):
        reading.wrong(at, f"{shown(given)} is not a table")
        return None
    before = len(reading.problems)
    known = {each.key: each for each in settings_of(table)}
    values = {each.attribute: _read(each, given, at, reading) for each in known.values() if _is_told(each, given, base)}
    for key in given:
        if key not in known:
            remedy = closest(key, known) or f"known are {', '.join(known)}"
            reading.wrong((*at, key), "is not a known key", remedy)
    if len(reading.problems) > before:
        return None
    return replace(base, **values) if base else table(**values)


def _is_told(each: Setting, given: dict[str, Any], base: Table | None) -> bool:
    return each.key in given or (each.is_required and base is None)


def _read(each: Setting, given: dict[str, Any], at: tuple[str, ...], reading: Reading) -> Any:  # noqa: ANN401 - a value of any kind
    path = (*at, each.key)
    if each.key not in given:
        reading.wrong(path, "is missing")
        return None
    try:
        return each.kind.read(given[each.key], path, reading)
    except Wrong as wrong:
        reading.wrong(path, str(wrong), wrong.remedy)
        return None


def closest(given: object, known: Iterable[str]) -> str:
    """The remedy for a word that is probably a misspelling, or nothing."""
    import difflib  # noqa: PLC0415 - settings are usually right

    matches = difflib.get_close_matches(str(given), list(known), n=1)
    return f"did you mean {matches[0]!r}?" if matches else ""


def shown(given: object) -> str:
    """A value as it is told to people."""
    try:
        text = repr(given)
    except (ValueError, RecursionError):  # an integer of too many digits for Python, or nested too deep
        return "a value that cannot be shown"
    return text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "…"
