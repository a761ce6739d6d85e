"""Parcels of records as an agent makes them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from farshore_protocol.batch import BatchHeader, Kind
from farshore_protocol.columns import Columns, encode
from farshore_protocol.enrolment import Membership
from farshore_protocol.messages import Answer, Claim, Statement
from farshore_protocol.parcel import open_answer, pack_parcel
from farshore_protocol.ranges import RangeSet
from farshore_protocol.sealing import EpochKey, seal_epoch
from tests.hub.fleet.site import SiteKeys

AT_US = 1_795_000_000_000_000


@dataclass
class Sender:
    """One life of a site's agent, with one stream."""

    keys: SiteKeys
    membership: Membership
    stream: str = "boiler"
    incarnation: bytes = field(default_factory=lambda: os.urandom(8))
    number: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        self.epoch, key = os.urandom(8), os.urandom(32)
        hub_key = self.membership.sealing_keys[0]
        self.key = EpochKey(self.keys.name, self.epoch, key)
        self.sealed_epoch = seal_epoch(
            site=self.keys.name,
            epoch=self.epoch,
            key=key,
            created_us=AT_US,
            hub_key=hub_key.id,
            hub_public=hub_key.public,
            signer=self.keys.signing,
        )

    def parcel(self, records: list[dict[str, Any]], *, first: int = 1, head: int | None = None) -> bytes:
        """A parcel with one batch of these records; the site claims to have given out sequences up to `head`."""
        body = encode(Columns.from_records(records))
        header = BatchHeader(Kind.RECORDS, self.incarnation, self.epoch, self.counter, self.stream, first, len(records))
        self.counter += 1
        last = header.last if head is None else head
        held = RangeSet(((first, header.last),)).to_wire()
        self.number += 1
        claim = Claim(self.incarnation, self.stream, last, held, AT_US)
        statement = Statement(
            self.keys.name, self.incarnation, self.number, AT_US, [claim], [], whole=True, agent_version="test"
        )
        batch = self.key.seal(header, body).raw
        return pack_parcel(statement, self.keys.signing, epochs=[self.sealed_epoch], batches=[batch])

    def read_answer(self, raw: bytes) -> Answer:
        keys = {key.id: Ed25519PublicKey.from_public_bytes(key.public) for key in self.membership.signing_keys}
        return open_answer(raw, keys)
