"""Is this report the site's? Bytes in, a `Report` or an error out; nothing is written here."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from farshore_hub.receive.keys import ReceivingKeys
from farshore_protocol.batch import DIGEST_BYTES
from farshore_protocol.errors import Malformed
from farshore_protocol.orders import Report, open_report
from farshore_protocol.sealing import check_sealing_key, key_id


def checked_report(raw: bytes, site: str, signing_key: bytes, keys: ReceivingKeys) -> Report:
    """Open a report of a site. Whether it is new the store has to see.

    Args:
        raw: as it came.
        site: who must have made it.
        signing_key: the 32 bytes of that site's Ed25519 public key.
        keys: this hub's.

    Raises:
        NotAuthentic: made by somebody else, or for another hub.
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    signers = {key_id(signing_key): Ed25519PublicKey.from_public_bytes(signing_key)}
    report = open_report(raw, hub=keys.hub, site=site, keys=list(keys.sealing_keys), signers=signers)
    if report.introduction is not None:
        check_sealing_key(report.introduction.sealing_key.public)
        if hashlib.sha256(report.introduction.schema).digest()[:DIGEST_BYTES] != report.schema:
            raise Malformed("the report introduces a schema that has another digest than it says")
    return report
