"""Signatures of webhooks, in the form of Standard Webhooks (standardwebhooks.com), for which there are libraries.

What is signed is `ID.TIMESTAMP.BODY`: a message cannot be changed, played again later, or given another id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

_PREFIX: Final = "whsec_"


def secret_bytes(secret: str) -> bytes:
    """The key: what follows `whsec_` in base64, or else the text itself."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def signed_headers(secret: str, key: str, at_s: int, body: bytes) -> list[tuple[str, str]]:
    """The headers that bear the id, the time (seconds since 1970) and the signature."""
    signed = b".".join((key.encode(), str(at_s).encode(), body))
    code = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return [
        ("webhook-id", key),
        ("webhook-timestamp", str(at_s)),
        ("webhook-signature", f"v1,{base64.b64encode(code).decode()}"),
    ]
