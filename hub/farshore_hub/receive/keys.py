"""What receiving needs of the hub's keys."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_protocol.sealing import SealingKey


class ReceivingKeys(Protocol):
    """The hub's id and the keys that open epochs and sign answers."""

    @property
    def hub(self) -> bytes:
        """The hub's id, 8 bytes."""
        ...

    @property
    def sealing(self) -> SealingKey:
        """Opens key epochs."""
        ...

    @property
    def signing(self) -> Ed25519PrivateKey:
        """Signs answers."""
        ...

    @property
    def signing_id(self) -> bytes:
        """The name of the signing key, 8 bytes."""
        ...
