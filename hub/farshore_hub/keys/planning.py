"""Which keys a hub has after a rotation or a retirement, and what it announces; writes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_hub.errors import Conflict
from farshore_hub.fleet.ca import SERIAL_BYTES, CertificateAuthority, private_pem
from farshore_hub.fleet.key_files import (
    AUTHORITY,
    SEALING,
    SIGNING,
    Kind,
    PrivateKeys,
    authority_pem,
    ca_name,
    file_of,
    public_sealing,
    public_signing,
)
from farshore_protocol.keyring import Keyring, pack_keyring
from farshore_protocol.limits import MAX_KEYRING_AUTHORITIES, MAX_KEYRING_KEYS
from farshore_protocol.orders import next_number
from farshore_protocol.ports import Clock, Random
from farshore_protocol.sealing import SEALING_SEED_BYTES, SealingKey

MOST: Final = {Kind.SIGNING: MAX_KEYRING_KEYS, Kind.CA: MAX_KEYRING_AUTHORITIES}
"""Of a kind at one time. Of sealing keys there may be many: old ones are kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the folder with the keys.

    Attributes:
        keyring: that is announced.
        signed: the same, signed with a key that sites know.
        files: to be written, before the keyring is.
    """

    keyring: Keyring
    signed: bytes
    files: dict[str, bytes] = field(default_factory=dict, repr=False)


def rotation(keys: PrivateKeys, kinds: Collection[Kind], clock: Clock, random: Random) -> Change:
    """Another key of each of these kinds, beside those that there are.

    Raises:
        Conflict: there are as many of a kind as there may be.
    """
    files: dict[str, bytes] = {}
    keyring = _next(keys, clock)
    if Kind.SIGNING in kinds:
        signing = Ed25519PrivateKey.generate()
        announced = public_signing(signing)
        files[file_of(SIGNING, announced.id)] = private_pem(signing)
        keyring = msgspec.structs.replace(keyring, signing=[announced, *keyring.signing])
    if Kind.SEALING in kinds:
        sealing = SealingKey.of_seed(random.token(SEALING_SEED_BYTES))
        files[file_of(SEALING, sealing.id)] = sealing.seed.hex().encode()
        opened = [keyring.sealing.id, *keyring.opened]
        keyring = msgspec.structs.replace(keyring, sealing=public_sealing(sealing), opened=opened)
    if Kind.CA in kinds:
        authority = CertificateAuthority.create(keyring.hub, clock.now_us(), random.token(SERIAL_BYTES))
        pem = authority.pem.decode()
        files[file_of(AUTHORITY, ca_name(pem))] = authority_pem(authority)
        keyring = msgspec.structs.replace(keyring, authorities=[pem, *keyring.authorities])
    for kind, count in ((Kind.SIGNING, len(keyring.signing)), (Kind.CA, len(keyring.authorities))):
        if count > MOST[kind]:
            raise Conflict(f"there are {count - 1} {kind} keys", remedy=f"retire the old ones: keys retire {kind}")
    return Change(keyring, pack_keyring(keyring, keys.signing[-1].key), files)


def retirement(keys: PrivateKeys, kinds: Collection[Kind], clock: Clock) -> Change:
    """Of each of these kinds the newest key alone.

    It is signed with the newest signing key: whoever does not know that has to follow the keyring that announced it
    anyway, and the one that is retired may be in other hands.

    Raises:
        Conflict: of a kind there is one key only.
    """
    keyring = _next(keys, clock)
    older = {
        Kind.SIGNING: len(keyring.signing) > 1,
        Kind.SEALING: len(keys.sealing) > 1,
        Kind.CA: len(keyring.authorities) > 1,
    }
    for kind in kinds:
        if not older[kind]:
            raise Conflict(f"there is one {kind} key only", remedy=f"make another one first: keys rotate {kind}")
    if Kind.SIGNING in kinds:
        keyring = msgspec.structs.replace(keyring, signing=keyring.signing[:1])
    if Kind.SEALING in kinds:
        keyring = msgspec.structs.replace(keyring, opened=[])
    if Kind.CA in kinds:
        keyring = msgspec.structs.replace(keyring, authorities=keyring.authorities[:1])
    return Change(keyring, pack_keyring(keyring, keys.signing[0].key))


def _next(keys: PrivateKeys, clock: Clock) -> Keyring:
    """The same keys under the next number: the clock, so that a hub out of an old backup does not use one again."""
    now_us, before = clock.now_us(), keys.keyring
    return msgspec.structs.replace(before, number=next_number(now_us, highest=before.number), made_us=now_us)
