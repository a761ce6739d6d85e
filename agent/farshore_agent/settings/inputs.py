"""What an input's own settings are, and where the input classes come from.

An input is a plugin: a class under the entry point group `farshore.inputs`, whose attribute `Settings` is the model of
its table. So the settings file is checked whole, and this room knows no input.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Final

from farshore_agent.settings.table import Table

GROUP: Final = "farshore.inputs"


class InputSettings(Table):
    """Base of the models of `[inputs.NAME]` tables. A subclass narrows `type` to its own name."""

    type: str

    def claims(self) -> tuple[str, ...]:
        """What this input needs for itself alone, such as an address; no two inputs may claim the same."""
        return ()

    def streams(self) -> tuple[str, ...]:
        """The streams that it will append to, as far as the settings tell."""
        return ()


def installed() -> Mapping[str, metadata.EntryPoint]:
    """The input types that are installed, by name; none of them is imported yet."""
    return {point.name: point for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)}


def settings_model(point: metadata.EntryPoint) -> type[InputSettings]:
    """The model of an input type's table; imports the plugin.

    Raises:
        TypeError: the plugin has no such model.
    """
    model = getattr(point.load(), "Settings", None)
    if not (isinstance(model, type) and issubclass(model, InputSettings)):
        raise TypeError(f"the input type {point.name!r} ({point.value}) has no class attribute Settings")
    return model
