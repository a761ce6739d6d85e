"""The bounds of an HTTP server, so that no peer can take more of it than its share, and those of a client."""

from __future__ import annotations

import math
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of one server.

    Attributes:
        max_header_bytes: request line and headers of one request.
        max_body_bytes: of one request, as it was sent.
        max_held_bytes: requests of all connections together that wait for their end or their answer.
        max_connections: further ones are told to come back.
        request_s: from a request's first byte to its last; a slower sender is cut off.
        idle_s: how long a kept connection may be silent.
        linger_s: how long a refused sender may go on sending before the connection is cut.
    """

    max_header_bytes: int = 16 * KIB
    max_body_bytes: int = 32 * MIB
    max_held_bytes: int = 64 * MIB
    max_connections: int = 256
    request_s: float = 60
    idle_s: float = 300
    linger_s: float = 2


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Bounds of one client.

    Attributes:
        connect_s: until the connection is there, TLS included.
        resolve_s: of these, until the name's addresses are known.
        still_s: how long nothing may move, in neither direction.
        total_s: from the start of a request until its answer is complete.
        max_body_bytes: of one answer.
        max_header_bytes: of one answer.
    """

    connect_s: float = 30
    resolve_s: float = 10
    still_s: float = math.inf
    total_s: float = 60
    max_body_bytes: int = 16 * MIB
    max_header_bytes: int = 32 * KIB
