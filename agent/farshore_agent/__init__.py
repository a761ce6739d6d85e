"""The agent: runs at a site, keeps its records safe and delivers them to the hub.

`Agent` is the door for Python programs: `async with Agent.open(path) as agent: await agent.append("boiler", records)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farshore_protocol import __version__

if TYPE_CHECKING:
    from farshore_agent.app import Agent

__all__ = ["Agent", "__version__"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the language's own signature
    """Load the agent when it is first used: a command that only shows its help needs none of it."""
    if name == "Agent":
        from farshore_agent.app import Agent  # noqa: PLC0415

        return Agent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
