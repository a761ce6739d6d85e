"""Which rows of a merged table a site may have: `region = site.region and kind = 'retail'`. Pure.

A filter is a few equalities. So every row belongs to one *scope*, the values of the filter's columns, and a site that
follows the table has exactly the rows of its own. Nothing of what people write here becomes SQL text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from farshore_hub.merge.layout import Column, Layout
from farshore_hub.merge.types import Type, stored

MAX_CHARS: Final = 1_000
_AND: Final = re.compile(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", re.IGNORECASE)
"""Between terms, not inside a quoted text."""

_TERM: Final = re.compile(
    r"""\s*(?P<column>[A-Za-z_][A-Za-z0-9_]*|"[^"]+")\s*=\s*"""
    r"""(?:site\.(?P<label>[A-Za-z][A-Za-z0-9_.-]*)|'(?P<text>[^']*)'|(?P<number>-?[0-9]{1,18}))\s*"""
)
NAME: Final = "name"
"""`site.name` is the site's name; every other word after `site.` is one of its labels."""


@dataclass(frozen=True, slots=True)
class Term:
    """`column = site.label`, or `column = value`."""

    column: str
    label: str = ""
    value: str | int = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """All of its terms have to hold; without any, every row is everybody's."""

    terms: tuple[Term, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that it looks at, in its order."""
        return tuple(each.column for each in self.terms)

    def scope(self, site: str, labels: Mapping[str, str]) -> tuple[str | int, ...] | None:
        """The values that a row of that site has; None where the site lacks a label, and has no row."""
        known = {**labels, NAME: site}
        if any(each.label and each.label not in known for each in self.terms):
            return None
        return tuple(known[each.label] if each.label else each.value for each in self.terms)


def parse(text: str) -> Filter:
    """Read a filter.

    Raises:
        ValueError: it is none; the text says what is expected.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"a filter has at most {MAX_CHARS} characters")
    terms = tuple(_term(each) for each in _AND.split(text)) if text.strip() else ()
    if len({each.column.lower() for each in terms}) < len(terms):
        raise ValueError("a filter names each column once")
    return Filter(terms)


def _term(text: str) -> Term:
    found = _TERM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text.strip()[:80]!r} is not COLUMN = site.LABEL, COLUMN = 'text' or COLUMN = 12; 'and' joins them"
        )
    column, label, value, number = found.group("column", "label", "text", "number")
    return Term(column.strip('"'), label or "", int(number) if number else value or "")


def places(columns: tuple[str, ...], layout: Layout) -> list[tuple[str, Column]] | None:
    """For each of these columns its name in the merged table and what it is; None while the table lacks one."""
    known = [*((f"k{place}", each) for place, each in enumerate(layout.key)),
             *((f"c{place}", each) for place, each in enumerate(layout.cells))]  # fmt: skip
    found = [
        next((each for each in known if column.lower() in {name.lower() for name in each[1].names}), None)
        for column in columns
    ]
    there = [each for each in found if each is not None]
    return there if len(there) == len(found) else None


def held(value: str | int, type_: Type) -> str | int | float | bytes | None:
    """A value of a scope as a column of that type has it; None if it has none such."""
    as_text = str(value)
    if type_ is Type.TEXT:
        return as_text
    if type_ is Type.BYTES:
        return as_text.encode()
    if type_ is Type.ANY:
        [packed] = stored([value], type_)
        return str(packed)
    try:
        return int(as_text) if type_ is Type.INTEGER else float(as_text)
    except ValueError:
        return None
