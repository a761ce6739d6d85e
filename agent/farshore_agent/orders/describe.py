"""The JSON Schema of this agent's settings, as a hub gets it: compressed.

To make it, every input and plugin has to be imported. A process of its own does that once, and gives the memory back.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sys
import sysconfig
from pathlib import Path
from typing import Final

import zstandard

from farshore_agent.identity.files import make_private_dir
from farshore_protocol import __version__
from farshore_shell.files import write_private

_LOG: Final = logging.getLogger(__name__)
FILE: Final = "schema"
_LEVEL: Final = 19
_MAX_BYTES: Final = 1 << 24


async def describe(_folder: Path | None = None) -> bytes:
    """Made here."""
    from farshore_agent.settings import schema  # noqa: PLC0415 - the reason is above

    return zstandard.compress(json.dumps(schema(), separators=(",", ":")).encode(), _LEVEL)


async def describe_apart(folder: Path) -> bytes:
    """Made in a process of its own, and kept in `folder` until something else is installed."""
    path, key = folder / FILE, _installed_now()
    try:
        found = path.read_bytes()
    except OSError:
        found = b""
    if found.startswith(key):
        return found[len(key) :]
    made = await _made_apart()
    try:
        make_private_dir(folder)
        write_private(path, key + made)
    except OSError as error:
        _LOG.info("the settings' schema cannot be kept, and is made again at the next start: %s", error)
    return made


def _installed_now() -> bytes:
    """Changes whenever this agent, Python, or what is installed beside it does."""
    places = (sysconfig.get_path(name) for name in ("purelib", "platlib"))
    times = [str(Path(place).stat().st_mtime_ns) for place in places]
    return hashlib.sha256("|".join((__version__, sys.version, *times)).encode()).digest()


async def _made_apart() -> bytes:
    """Here, where a machine lets us have no process of our own."""
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        made, _ = await child.communicate()
        zstandard.decompress(made, max_output_size=_MAX_BYTES)
    except (OSError, zstandard.ZstdError) as error:
        _LOG.warning("the settings' schema is made in this process, another one could not: %s", error)
        return await describe()
    return made


if __name__ == "__main__":
    sys.stdout.buffer.write(asyncio.run(describe()))
