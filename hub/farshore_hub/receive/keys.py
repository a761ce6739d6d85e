"""What receiving, and whoever has orders, needs of the hub's keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from farshore_protocol.documents import Signer
from farshore_protocol.errors import NotAuthentic
from farshore_protocol.messages import KeyEpoch
from farshore_protocol.sealing import EpochKey, SealingKey


class ReceivingKeys(Protocol):
    """The hub's id and the keys that open epochs and sign answers."""

    @property
    def hub(self) -> bytes:
        """The hub's id, 8 bytes."""
        ...

    @property
    def sealing(self) -> SealingKey:
        """What is sealed to from now on."""
        ...

    @property
    def sealing_keys(self) -> Collection[SealingKey]:
        """Everything that opens what was sealed to the hub."""
        ...

    @property
    def signer(self) -> Signer:
        """Signs answers and orders."""
        ...

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The hub's signed keyrings, in their order."""
        ...

    def chain_after(self, number: int) -> list[bytes]:
        """Those that a site lacks which has that one."""
        ...


def key_named(keys: ReceivingKeys, name: bytes) -> SealingKey:
    """The sealing key of that name.

    Raises:
        NotAuthentic: there is none, or not any more.
    """
    for each in keys.sealing_keys:
        if each.id == name:
            return each
    raise NotAuthentic(f"it is sealed to the key {name.hex()}, which this hub does not have")


def epoch_key(keys: ReceivingKeys, epoch: KeyEpoch, signed_by: Ed25519PublicKey) -> EpochKey:
    """The key of an epoch that `signed_by`'s owner sealed to this hub, whenever that was.

    Raises:
        NotAuthentic: the signature is not the site's, or it was sealed to another hub.
        Malformed: what was sealed is no key.
    """
    return key_named(keys, epoch.hub_key).open_epoch(epoch, signed_by)
