"""A fresh key epoch: the key that batches are sealed with from now on. It stays in memory."""

from __future__ import annotations

from farshore_agent.identity.identity import Identity
from farshore_protocol.batch import ID_BYTES
from farshore_protocol.messages import KeyEpoch
from farshore_protocol.ports import Clock, Random
from farshore_protocol.sealing import KEY_BYTES, EpochKey, seal_epoch


def new_epoch(identity: Identity, clock: Clock, random: Random) -> tuple[KeyEpoch, EpochKey]:
    """A random key, sealed to the hub's newest sealing key and signed by the site, and the key itself."""
    hub_key = identity.membership.sealing_keys[0]
    name, key = random.token(ID_BYTES), random.token(KEY_BYTES)
    message = seal_epoch(
        site=identity.site,
        epoch=name,
        key=key,
        created_us=clock.now_us(),
        hub_key=hub_key.id,
        hub_public=hub_key.public,
        signer=identity.signer,
    )
    return message, EpochKey(identity.site, name, key)
