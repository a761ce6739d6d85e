"""Whose orders a site takes, and how it signs what it says of them: all of it follows from the identity in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from farshore_agent.identity.identity import Identity
from farshore_protocol.documents import Signer
from farshore_protocol.enrolment import HubKey
from farshore_protocol.orders import site_sealing_key
from farshore_protocol.sealing import SealingKey, key_id


@dataclass(frozen=True, slots=True)
class Party:
    """A site and its hub.

    Attributes:
        hub, site: their names.
        key, public_key: this site's; orders are sealed to it.
        signers: the hub's signing keys by name.
        signer: this site's.
        hub_key: what reports are sealed to.
    """

    hub: bytes
    site: str
    key: SealingKey
    public_key: HubKey
    signers: Mapping[bytes, Ed25519PublicKey]
    signer: Signer
    hub_key: HubKey

    @classmethod
    def of(cls, identity: Identity) -> Party:
        """Of the identity in force."""
        membership, signer = identity.membership, identity.signer
        key = site_sealing_key(identity.keys.signing_key)
        return cls(
            hub=membership.hub,
            site=membership.site,
            key=key,
            public_key=HubKey(key.id, key.public_bytes()),
            signers=identity.hub_keys,
            signer=Signer(key_id(signer.public_key().public_bytes_raw()), signer),
            hub_key=membership.sealing_keys[0],
        )
