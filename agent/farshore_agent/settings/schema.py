"""The settings file as a JSON Schema, for editors that complete and check TOML while it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from farshore_agent.settings import inputs
from farshore_agent.settings.agent import AgentSettings
from farshore_agent.settings.inputs import InputType
from farshore_agent.settings.kinds import Inner, table_schema
from farshore_agent.settings.orders import OrdersSettings
from farshore_agent.settings.rooms import BufferSettings, ForwardSettings, SealSettings
from farshore_agent.settings.streams import StreamSettings
from farshore_agent.settings.table import Table
from farshore_agent.settings.tables import TableSettings

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TABLES: Final[tuple[type[Table], ...]] = (
    BufferSettings,
    ForwardSettings,
    OrdersSettings,
    SealSettings,
    StreamSettings,
    TableSettings,
)


def schema(kinds: Mapping[str, InputType] | None = None) -> dict[str, Any]:
    """The schema of the whole file, with the tables of the given input types; the installed ones by default."""
    points = inputs.installed() if kinds is None else kinds
    of_inputs = [inputs.settings_table(point) for point in points.values()]
    whole = table_schema(AgentSettings)
    one_of = {"oneOf": [Inner(table).schema() for table in of_inputs]}
    whole["properties"]["inputs"] = {"type": "object", "additionalProperties": one_of}
    definitions = {table.__name__: table_schema(table) for table in (*_TABLES, *of_inputs)}
    return {"$schema": DIALECT, **whole, "title": "Farshore agent settings", "$defs": definitions}
