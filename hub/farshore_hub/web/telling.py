"""Answers that are made while they are sent, in threads, and given up when nobody waits for them any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

from fastapi import Request
from fastapi.responses import StreamingResponse

from farshore_hub.work.lanes import Lane
from farshore_protocol.limits import KIB

_PIECE_BYTES: Final = 64 * KIB


async def told(
    request: Request, lane: Lane, make: Callable[[], Iterator[bytes]], give_up: Callable[[], None], media_type: str
) -> StreamingResponse:
    """The answer that `make` makes, once its first piece is there.

    Args:
        request: whose sender may go away.
        lane: where it is made.
        make: the answer, piece by piece; its errors are told while nothing was sent.
        give_up: ends the making, from any thread.
        media_type: of the answer.
    """
    pieces: list[Iterator[bytes]] = []

    def begin() -> bytes:
        pieces.append(_gathered(make()))
        return next(pieces[0], b"")

    try:
        async with _given_up_when_gone(request, give_up):
            first = await lane.begin(begin)
    except BaseException:
        give_up()
        raise
    return StreamingResponse(_all(lane, first, pieces[0], give_up), media_type=media_type)


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth a thread's turn."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= _PIECE_BYTES:
            yield bytes(held)
            held.clear()
    yield bytes(held)


@asynccontextmanager
async def _given_up_when_gone(request: Request, give_up: Callable[[], None]) -> AsyncIterator[None]:
    watching = asyncio.create_task(_wait_until_gone(request, give_up))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _wait_until_gone(request: Request, give_up: Callable[[], None]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    give_up()


async def _all(lane: Lane, first: bytes, pieces: Iterator[bytes], give_up: Callable[[], None]) -> AsyncIterator[bytes]:
    try:
        yield first
        while (piece := await lane.go_on(lambda: next(pieces, None))) is not None:
            yield piece
    finally:
        give_up()
        # If the client left while a piece was being made, that thread lets go of the generator itself.
        with suppress(ValueError):
            await lane.go_on(cast("Generator[bytes]", pieces).close)
