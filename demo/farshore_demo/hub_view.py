"""What the hub says about completeness, read over its HTTP API like any script would."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TIMEOUT_S: Final = 10


@dataclass(frozen=True, slots=True)
class StreamView:
    """One line of the hub's completeness, as it is now."""

    stored: int
    pending: int
    gap: int


class HubView:
    """A reader of the hub's API with a bearer token."""

    def __init__(self, port: int, ca: Path, token: str) -> None:
        self._port = port
        self._token = token
        self._context = ssl.create_default_context(cafile=str(ca))

    def ready(self) -> bool:
        """Whether the hub answers that it is ready."""
        try:
            return self._get("/readyz")[0] == http.client.OK
        except OSError:
            return False

    def completeness(self) -> dict[tuple[str, str], StreamView]:
        """By site and stream; empty when the hub does not answer just now."""
        try:
            status, body = self._get("/v1/completeness")
        except OSError:
            return {}
        if status != http.client.OK:
            return {}
        return {
            (line["site"], line["stream"]): StreamView(line["stored"], line["pending"], line["gap"])
            for line in json.loads(body)["streams"]
        }

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S, context=self._context)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
