"""Somebody who speaks the protocol with a site's real identity, and may say anything with it."""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from farshore_agent.identity.identity import Identity
from farshore_agent.identity.tls import pinned_context
from farshore_protocol.batch import BatchHeader, Kind
from farshore_protocol.columns import Columns, encode
from farshore_protocol.messages import Answer, Claim, Statement
from farshore_protocol.parcel import PARCEL_TYPE, open_answer, pack_parcel
from farshore_protocol.sealing import EpochKey, seal_epoch
from tests.acceptance.records import Record

_TIMEOUT_S: Final = 60


def identity_of(state: Path) -> Identity:
    return Identity.load(state / "identity")


@dataclass
class Client:
    """One life of a made-up agent: an incarnation and a key epoch of its own."""

    state: Path
    port: int
    incarnation: bytes = field(default_factory=lambda: os.urandom(8))
    _counter: int = 0
    _number: int = 0

    def __post_init__(self) -> None:
        self.identity = identity_of(self.state)
        name, key = os.urandom(8), os.urandom(32)
        hub_key = self.identity.membership.sealing_keys[0]
        self._key = EpochKey(self.identity.site, name, key)
        self._epoch_name = name
        self._epoch = seal_epoch(
            site=self.identity.site,
            epoch=name,
            key=key,
            created_us=time.time_ns() // 1000,
            hub_key=hub_key.id,
            hub_public=hub_key.public,
            signer=self.identity.signer,
        )

    def batch(self, stream: str, first: int, records: list[Record]) -> bytes:
        """A sealed batch of these records from that sequence on."""
        header = BatchHeader(
            Kind.RECORDS, self.incarnation, self._epoch_name, self._counter, stream, first, len(records)
        )
        self._counter += 1
        return self._key.seal(header, encode(Columns.from_records(records))).raw

    def parcel(self, stream: str, head: int, *batches: bytes) -> bytes:
        """A parcel that claims `head` records of the stream, none of them held."""
        self._number += 1
        statement = Statement(
            site=self.identity.site,
            incarnation=self.incarnation,
            number=self._number,
            at_us=time.time_ns() // 1000,
            claims=[Claim(self.incarnation, stream, head, [])],
            receipts=[],
        )
        return pack_parcel(statement, self.identity.signer, epochs=[self._epoch], batches=list(batches))

    def send(self, parcel: bytes) -> Answer:
        """Deliver a parcel over HTTPS."""
        status, body = self.post(parcel)
        assert status == 200, body
        return open_answer(body, self.identity.hub_keys)

    def post(
        self, body: bytes, kind: str = PARCEL_TYPE, path: str = "/v1/parcels", *, signed_in: bool = True
    ) -> tuple[int, bytes]:
        """One request, with the site's certificate unless it is not to be `signed_in`."""
        with contextlib.closing(self.connect(signed_in=signed_in)) as connection:
            connection.request("POST", path, body, {"content-type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def connect(self, *, signed_in: bool = True) -> http.client.HTTPSConnection:
        """A connection of its own, with the site's certificate or without."""
        chain = self.identity.write_chain(self.state / "identity") if signed_in else None
        tls = pinned_context(self.identity.membership.ca, chain)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S, context=tls)
