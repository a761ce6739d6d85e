"""Names of keys and signed claims as nats-server wants them: Ed25519, base32 with a CRC-16, JSON web tokens.

Source: github.com/nats-io/nkeys and github.com/nats-io/jwt, version 2.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_hub.errors import Malformed

_ACCOUNT: Final = 0
"""What an account's name begins with: `A` in base32."""
_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_PARTS: Final = 3


class Issuer:
    """A key that signs who may connect; it lives as long as one run of the broker, and on no disk."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.name = key_name(_ACCOUNT, self._key.public_key().public_bytes_raw())

    def sign(self, claims: dict[str, Any], now_s: int) -> str:
        """The claims as a token of this issuer."""
        body = {**claims, "iss": self.name, "iat": now_s}
        body["jti"] = base64.b32encode(hashlib.sha256(_json(body)).digest()).decode().rstrip("=")
        signed = f"{_base64(_json(_HEADER))}.{_base64(_json(body))}"
        return f"{signed}.{_base64(self._key.sign(signed.encode()))}"


def key_name(kind: int, public: bytes) -> str:
    """The name of a public key."""
    raw = bytes((kind,)) + public
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def claims_of(token: bytes) -> dict[str, Any]:
    """What a token says; who signed it is not looked at.

    Raises:
        Malformed: it is no token.
    """
    parts = token.split(b".")
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + b"==")) if len(parts) == _PARTS else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Malformed("the broker's question cannot be read")
    return said


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
