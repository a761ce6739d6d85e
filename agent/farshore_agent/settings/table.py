"""What every table of the settings file is: a frozen dataclass whose fields say what the file may hold for them.

A file uses the short keys (`linger`), code the attribute names with their units (`linger_s`). Why there is no library
for this: docs/decisions/0015-settings-without-pydantic.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from farshore_agent.errors import Problem

REQUIRED: Final = MISSING
_KEY: Final = "key"
_KIND: Final = "kind"


class Wrong(ValueError):
    """A value that a setting cannot have: why, and what would be right."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a file.

    Attributes:
        folder: where relative paths start.
        problems: what was found so far.
        defaults: by type, the table whose values stand where another table of that type does not say.
    """

    folder: Path | None
    problems: list[Problem] = field(default_factory=list)
    defaults: dict[type[Table], Table] = field(default_factory=dict)

    def wrong(self, at: tuple[str, ...], why: str, remedy: str = "") -> None:
        """Note a problem at a key path."""
        self.problems.append(Problem(".".join(at), why, remedy))


class Kind(Protocol):
    """What a setting may be."""

    def read(self, given: Any, at: tuple[str, ...], reading: Reading) -> Any:  # noqa: ANN401 - any TOML value
        """The value for code. What is wrong is noted in `reading`, or raised as Wrong for the path `at`."""
        ...

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what a file may hold."""
        ...


class Setting(NamedTuple):
    """A field of a table: its attribute, its key in the file, what it may be, and whether a file has to have it."""

    attribute: str
    key: str
    kind: Kind
    is_required: bool
    default: Any


@dataclass(frozen=True, kw_only=True)
class Table:
    """Base of all tables."""


def setting(kind: Kind, *, key: str = "", default: Any = REQUIRED) -> Any:  # noqa: ANN401 - as dataclasses.field
    """A field of a table: what it may be, its key if that is not the attribute's name, its default if it has one."""
    metadata = {_KIND: kind, _KEY: key}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def settings_of(table: type[Table]) -> Iterator[Setting]:
    """The fields of a table, in their order."""
    for each in fields(table):
        is_required = each.default is MISSING and each.default_factory is MISSING
        default = each.default if each.default_factory is MISSING else each.default_factory()
        yield Setting(each.name, each.metadata[_KEY] or each.name, each.metadata[_KIND], is_required, default)
