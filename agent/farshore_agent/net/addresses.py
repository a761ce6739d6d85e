"""The addresses behind a name, for when the name service fails: then the last one that was good is tried."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

MAX_ADDRESSES: Final = 4
"""Of one name are tried."""


class Addresses:
    """Looks names up, and remembers which address was good. Whoever answers there has to prove who it is anyway."""

    def __init__(self, resolve_s: float) -> None:
        self._resolve_s = resolve_s
        self._good = ""

    def good(self, address: str) -> None:
        """A connection to it was made."""
        self._good = address

    async def of(self, host: str, port: int) -> list[str]:
        """The addresses to try, in this order.

        Raises:
            OSError: the name cannot be looked up, and no address of it was ever good.
        """
        try:
            found = await self._look_up(host, port)
        except OSError:
            if not self._good:
                raise
            return [self._good]
        known = [self._good] if self._good in found else []
        return [*known, *(each for each in found if each != self._good)][:MAX_ADDRESSES]

    async def _look_up(self, host: str, port: int) -> list[str]:
        looking = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(self._resolve_s):
                return list(dict.fromkeys(str(address[0]) for *_, address in await looking))
        except TimeoutError:
            raise OSError(f"the name {host} was not found within {self._resolve_s:g} s") from None
