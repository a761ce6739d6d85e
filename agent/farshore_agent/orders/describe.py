"""The JSON Schema of this agent's settings, as a hub gets it: compressed.

To make it, every input and plugin has to be imported. A process of its own does that once, and gives the memory back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Final

import zstandard

_LOG: Final = logging.getLogger(__name__)
_LEVEL: Final = 19


async def describe() -> bytes:
    """Made here."""
    from farshore_agent.settings import schema  # noqa: PLC0415 - the reason is above

    return zstandard.compress(json.dumps(schema(), separators=(",", ":")).encode(), _LEVEL)


async def describe_apart() -> bytes:
    """Made in a process of its own; here, where a machine lets us have none."""
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        made, _ = await child.communicate()
        zstandard.decompress(made, max_output_size=1 << 24)
    except (OSError, zstandard.ZstdError) as error:
        _LOG.warning("the settings' schema is made in this process, another one could not: %s", error)
        return await describe()
    return made


if __name__ == "__main__":
    sys.stdout.buffer.write(asyncio.run(describe()))
