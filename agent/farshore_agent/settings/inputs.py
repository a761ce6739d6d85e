"""What an input's own settings are, and where the input classes come from.

An input is a class whose attribute `Settings` is its table. Some come with the agent; others are plugins, under the
entry point group `farshore.inputs`. So the settings file is checked whole, and this room knows no input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

from farshore_agent.settings.kinds import Text
from farshore_agent.settings.table import Table, setting

GROUP: Final = "farshore.inputs"


class InputType(Protocol):
    """Where an input class is; an `importlib.metadata.EntryPoint` is one."""

    @property
    def value(self) -> str:
        """Its module and its name there."""
        ...

    def load(self) -> Any:  # noqa: ANN401 - whatever stands there
        """Import it."""
        ...


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """An input that comes with the agent; an `InputType`."""

    value: str

    def load(self) -> Any:  # noqa: ANN401 - as EntryPoint.load
        """Import it."""
        module, _, name = self.value.partition(":")
        return getattr(import_module(module), name)


_BUILT_IN: Final[dict[str, InputType]] = {
    "folder": BuiltIn("farshore_agent.collect.folder:FolderInput"),
    "http": BuiltIn("farshore_agent.collect.http:HttpInput"),
    "tail": BuiltIn("farshore_agent.collect.tail:TailInput"),
}


@dataclass(frozen=True, kw_only=True)
class InputSettings(Table):
    """Base of the `[inputs.NAME]` tables. A subclass narrows `type` to its own name."""

    type: str = setting(Text())

    def claims(self) -> tuple[str, ...]:
        """What this input needs for itself alone, such as an address; no two inputs may claim the same."""
        return ()

    def streams(self) -> tuple[str, ...]:
        """The streams that it will append to, as far as the settings tell."""
        return ()


class Installed(Mapping[str, InputType]):
    """The input types that there are, by name. Plugins are looked for only when one is asked for: it takes 3 MiB."""

    def __init__(self) -> None:
        self._plugins: dict[str, InputType] | None = None

    def __getitem__(self, name: str) -> InputType:
        """The input type of that name."""
        return _BUILT_IN[name] if name in _BUILT_IN else self._found()[name]

    def __iter__(self) -> Iterator[str]:
        """All names, in their order."""
        return iter(sorted(_BUILT_IN.keys() | self._found().keys()))

    def __len__(self) -> int:
        """How many there are."""
        return len(list(iter(self)))

    def _found(self) -> dict[str, InputType]:
        if self._plugins is None:
            from importlib import metadata  # noqa: PLC0415 - the reason is above

            self._plugins = {point.name: point for point in metadata.entry_points(group=GROUP)}
        return self._plugins


def installed() -> Mapping[str, InputType]:
    """The input types that come with the agent or are installed; none of them is imported yet."""
    return Installed()


def settings_table(kind: InputType) -> type[InputSettings]:
    """The table of an input type; imports the input.

    Raises:
        TypeError: it has none.
    """
    table = getattr(kind.load(), "Settings", None)
    if not (isinstance(table, type) and issubclass(table, InputSettings)):
        raise TypeError(f"{kind.value} has no class attribute Settings")
    return table
