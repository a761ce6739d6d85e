"""A proxy between a site and the hub: it counts every byte, and it can be cut like a cable."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final, Self

_CHUNK_BYTES: Final = 65_536


@dataclass
class Proxy:
    """Forwards TCP from a port of its own to the hub's, until it is cut.

    Attributes:
        hub_port: where the hub listens on this machine.
        port: where this proxy listens; known once it is started.
        up_bytes, down_bytes: what went to the hub and what came back, TLS included.
    """

    hub_port: int
    port: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    cut: bool = False
    _server: asyncio.Server | None = None
    _ways: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut_link()
        if self._server:
            self._server.close()

    def cut_link(self) -> None:
        """Break what is connected and answer nobody from now on."""
        self.cut = True
        for way in list(self._ways):
            way.transport.abort()

    def restore_link(self) -> None:
        """Let connections through again."""
        self.cut = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self.hub_port)
            self._ways |= {writer, hub_writer}
            try:
                await asyncio.gather(self._up(reader, hub_writer), self._down(hub_reader, writer))
            finally:
                self._ways -= {writer, hub_writer}
                hub_writer.transport.abort()
        writer.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            self.up_bytes += len(chunk)
            writer.write(chunk)
            await writer.drain()
        writer.transport.abort()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            self.down_bytes += len(chunk)
            writer.write(chunk)
            await writer.drain()
        writer.transport.abort()
