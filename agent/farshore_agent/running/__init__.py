"""What runs under the present settings, and goes on under others without a restart: inputs, captured tables, rooms."""

from __future__ import annotations

from farshore_agent.running.running import Running

__all__ = ["Running"]
