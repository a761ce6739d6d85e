"""Request bodies: of the right type, within a bound that holds while they are read, and in time.

All bodies that are in memory at one time share one budget, of which nobody has more than a share: a site that begins
many parcels and sends none of them leaves room for the others. Who finds it used up is asked to come again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from farshore_hub.errors import Busy, Invalid, Malformed, OverLimit, TimedOut, WrongMediaType
from farshore_hub.web.problems import faults_of
from farshore_protocol.limits import KIB, MAX_PARCEL_BYTES, SLOWEST_BYTES_S

M = TypeVar("M", bound=BaseModel)

JSON_TYPE: Final = "application/json"
MAX_JSON_BYTES: Final = 64 * KIB
SHARES: Final = 8
"""One share is this part of the budget, or a parcel of the largest size."""

STRANGERS: Final = "(strangers)"
"""Who asks to join, or to renew; no site has such a name."""

PEOPLE: Final = "(people)"
"""Whoever has an API token."""

_LENGTH_DIGITS: Final = 15


class BodyReader:
    """Reads bodies within one budget of memory."""

    def __init__(self, budget_bytes: int, timeout_s: float) -> None:
        self._free_bytes = budget_bytes
        self._share_bytes = max(MAX_PARCEL_BYTES, budget_bytes // SHARES)
        self._held_bytes: Counter[str] = Counter()
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def read(self, request: Request, media_type: str, max_bytes: int, whose: str) -> AsyncIterator[bytes]:
        """The whole body; its part of the budget is given back when the context ends.

        Args:
            request: what is read.
            media_type: the only one that is taken.
            max_bytes: of the body.
            whose: on whose share it goes: a site's name, or `STRANGERS` or `PEOPLE`.

        Raises:
            WrongMediaType, OverLimit, TimedOut, Busy: as their texts say.
        """
        _check_type(request, media_type)
        expected = announced_bytes(request, max_bytes)
        if expected > self._free_bytes or self._held_bytes[whose] + expected > self._share_bytes:
            raise Busy("the hub is reading as much as it takes on at one time")
        self._hold(whose, expected)
        try:
            yield await self._in_time(_collect(request, expected), self._timeout_s + expected / SLOWEST_BYTES_S)
        finally:
            self._hold(whose, -expected)

    async def read_json(self, request: Request, model: type[M], max_bytes: int = MAX_JSON_BYTES) -> M:
        """A JSON body as `model`.

        Raises:
            Invalid: it is JSON and not what the route takes.
        """
        try:
            async with self.read(request, JSON_TYPE, max_bytes, PEOPLE) as raw:
                return model.model_validate_json(raw)
        except ValidationError as error:
            faults = error.errors()
            if any(fault["type"] == "json_invalid" for fault in faults):
                raise Malformed(f"the body is not JSON: {faults_of(faults)}") from None
            raise Invalid(faults_of(faults)) from None

    def _hold(self, whose: str, count: int) -> None:
        self._free_bytes -= count
        self._held_bytes[whose] += count
        if not self._held_bytes[whose]:
            del self._held_bytes[whose]

    async def _in_time(self, reading: Coroutine[None, None, bytes], timeout_s: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                return await reading
        except TimeoutError:
            raise TimedOut(f"the body had not arrived after {timeout_s:.0f} s") from None


def binary_body(media_type: str) -> dict[str, Any]:
    """The OpenAPI description of a binary request body."""
    schema = {"type": "string", "format": "binary"}
    return {"required": True, "content": {media_type: {"schema": schema}}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI description of a JSON request body."""
    return {"required": True, "content": {JSON_TYPE: {"schema": model.model_json_schema()}}}


def _check_type(request: Request, media_type: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise WrongMediaType(
            f"this route takes {media_type}, not {given[:80] or 'a body of no type'}",
            remedy=f"send it with 'Content-Type: {media_type}'",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongMediaType("this route takes bodies without Content-Encoding", remedy="send it as it is")


def announced_bytes(request: Request, max_bytes: int) -> int:
    """How many bytes the body may have: what was announced, or the bound.

    Raises:
        OverLimit: it is more than the bound.
    """
    length = request.headers.get("content-length")
    if length is None:
        return max_bytes
    if not length.isdecimal() or len(length) > _LENGTH_DIGITS or int(length) > max_bytes:
        raise OverLimit(f"the body has {length[:20]} bytes, the bound is {max_bytes}")
    return int(length)


async def _collect(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise OverLimit(f"the body has more than {max_bytes} bytes")
    return bytes(body)
