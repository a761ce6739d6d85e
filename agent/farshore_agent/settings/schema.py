"""The settings file as a JSON Schema, for editors that complete and check TOML while it is written."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from farshore_agent.settings import inputs
from farshore_agent.settings.agent import AgentSettings
from farshore_protocol.limits import MAX_NAME_CHARS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MODE: Final = "validation"


def schema(kinds: Mapping[str, EntryPoint] | None = None) -> dict[str, Any]:
    """The schema of the whole file, with the tables of the given input types; the installed ones by default."""
    points = inputs.installed() if kinds is None else kinds
    models: list[type[BaseModel]] = [AgentSettings, *(inputs.settings_model(point) for point in points.values())]
    references, document = models_json_schema([(model, MODE) for model in models], by_alias=True)
    definitions: dict[str, Any] = document["$defs"]
    tables = [references[model, MODE] for model in models[1:]]
    whole = definitions.pop(AgentSettings.__name__)
    whole["properties"]["streams"]["propertyNames"] = {"pattern": f"^[a-z0-9][a-z0-9_-]{{0,{MAX_NAME_CHARS - 1}}}$"}
    whole["properties"]["inputs"] = {"type": "object", "additionalProperties": {"oneOf": tables}}
    return {"$schema": DIALECT, **whole, "title": "Farshore agent settings", "$defs": definitions}
