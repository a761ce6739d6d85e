"""In which ways a request can go without an answer."""

from __future__ import annotations

import ssl


class ClientError(Exception):
    """There is no answer that could be used. The text says why, for people."""


class CannotConnect(ClientError):
    """No connection: no such name, nobody listens, or no way there."""


class NotTrusted(CannotConnect):
    """Whoever answers has not proved to be the one who was meant."""


class ConnectionLost(ClientError):
    """The connection ended before the answer did. The request may have been acted upon."""


class DeadlinePassed(ClientError):
    """It took too long. The request may have been acted upon."""


class BadAnswer(ClientError):
    """What came is not HTTP, or too large."""


def reason(error: Exception) -> str:
    """What a system error says, without its numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror and error.errno:
        return error.strerror
    return str(error) or type(error).__name__
