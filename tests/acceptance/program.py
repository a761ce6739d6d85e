"""A program that holds the agent itself: it appends records from Python and prints each one that is acknowledged.

Usage: python program.py SETTINGS PREFIX
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from farshore_agent import Agent

# Run as a script: the tests are no installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.acceptance.records import Supply, ndjson
from tests.acceptance.site import READINGS

PORTION: Final = 5
_PAUSE_S: Final = 0.01


async def append_for_ever(settings: Path, prefix: str) -> None:
    supply = Supply(prefix)
    async with Agent.open(settings) as agent:
        while True:
            records = supply.readings(PORTION)
            await agent.append(READINGS, records)
            sys.stdout.buffer.write(ndjson(records))
            sys.stdout.flush()
            await asyncio.sleep(_PAUSE_S)


if __name__ == "__main__":
    asyncio.run(append_for_ever(Path(sys.argv[1]), sys.argv[2]))
