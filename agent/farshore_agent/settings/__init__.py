"""The agent's settings: one TOML file, checked whole before anything of it is used.

A setting that is a size or a duration has its unit in the attribute's name (`linger_s`); the key in the file has none
(`linger = "5 s"`).
"""

from __future__ import annotations

from farshore_agent.settings.agent import AgentSettings
from farshore_agent.settings.inputs import InputSettings
from farshore_agent.settings.load import load, parse
from farshore_agent.settings.rooms import BufferSettings, DictionaryUse, ForwardSettings, SealSettings
from farshore_agent.settings.schema import schema
from farshore_agent.settings.streams import EffortChoice, StreamPolicies, StreamPolicy, StreamSettings, WhenFull

__all__ = [
    "AgentSettings",
    "BufferSettings",
    "DictionaryUse",
    "EffortChoice",
    "ForwardSettings",
    "InputSettings",
    "SealSettings",
    "StreamPolicies",
    "StreamPolicy",
    "StreamSettings",
    "WhenFull",
    "load",
    "parse",
    "schema",
]
