"""Is this parcel what it says, and whose? Bytes in, a `VerifiedParcel` or an error out; nothing is written here.

Nothing is inflated or decoded: to authenticate a batch it is decrypted, and its content is hashed. One batch that
cannot be taken does not spoil its neighbours: it becomes a refusal in the answer, and the agent keeps it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, Engine

from farshore_hub.errors import Forbidden, NotAuthentic, SiteRevoked, Unauthenticated
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.store import inbox
from farshore_hub.store.engine import reading
from farshore_hub.store.fleet import Site, SiteState, find_site
from farshore_protocol import errors
from farshore_protocol.batch import DIGEST_BYTES, ID_BYTES, BatchHeader, Kind, SealedBatch, digest_of, parse_batch
from farshore_protocol.messages import Claim, KeyEpoch, Parcel, Refusal, Refused, Statement
from farshore_protocol.names import BadName, check_any_stream
from farshore_protocol.parcel import open_statement, parse_parcel
from farshore_protocol.ranges import RangeSet
from farshore_protocol.sealing import EpochKey


@dataclass(frozen=True, slots=True)
class VerifiedBatch:
    """A batch of records that opens, with its identity and that of its content."""

    header: BatchHeader
    digest: bytes
    content_digest: bytes
    raw: bytes


@dataclass(slots=True)
class VerifiedParcel:
    """A parcel whose every part is known to be the site's.

    Attributes:
        claims: each with its range set, checked.
        dictionaries: id and sealed batch.
        refusals: batches that are not taken.
    """

    site: Site
    statement: Statement
    epochs: list[KeyEpoch]
    claims: list[tuple[Claim, RangeSet]]
    size: int
    batches: list[VerifiedBatch] = field(default_factory=list)
    dictionaries: list[tuple[bytes, bytes]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


class Verifier:
    """Verifies parcels; blocking, may be used from several threads at once."""

    def __init__(self, engine: Engine, keys: ReceivingKeys, opener: BatchOpener) -> None:
        self._engine = engine
        self._keys = keys
        self._opener = opener

    def verify(self, raw: bytes, signed_in: str | None) -> VerifiedParcel:
        """Check a parcel.

        Args:
            raw: the parcel.
            signed_in: the site that the client certificate names; None for a parcel that came as a file.

        Raises:
            ProtocolError: the parcel as a whole cannot be read.
            Unauthenticated, SiteRevoked, NotAuthentic, Forbidden: it is not from an active site, or from another one.
        """
        parcel = parse_parcel(raw)
        if signed_in is not None and parcel.site != signed_in:
            raise Forbidden(f"site {signed_in} brought a parcel of {parcel.site!r}", remedy="each site sends its own")
        with reading(self._engine) as connection:
            site = _active(find_site(connection, parcel.site), parcel.site)
            signer = Ed25519PublicKey.from_public_bytes(site.signing_key or b"")
            statement = open_statement(parcel, signer)
            verified = VerifiedParcel(site, statement, [], _claims(statement), len(raw))
            keys = self._new_keys(connection, parcel, signer, verified)
            for one in parcel.batches:
                self._take(connection, one, keys, verified)
        return verified

    def _new_keys(
        self, connection: Connection, parcel: Parcel, signer: Ed25519PublicKey, verified: VerifiedParcel
    ) -> dict[bytes, EpochKey]:
        """The keys of the epochs that came with the parcel; those that are stored already are not opened again."""
        keys: dict[bytes, EpochKey] = {}
        for epoch in parcel.epochs:
            if epoch.site != parcel.site:
                raise NotAuthentic(f"the parcel of {parcel.site} brings a key epoch of {epoch.site!r}")
            key = self._opener.stored_key(connection, parcel.site, epoch.id)
            keys[epoch.id] = key or self._keys.sealing.open_epoch(epoch, signer)
            verified.epochs.append(epoch)
        return keys

    def _take(self, connection: Connection, raw: bytes, keys: dict[bytes, EpochKey], verified: VerifiedParcel) -> None:
        try:
            batch = parse_batch(raw)
            key = keys.get(batch.header.epoch)
            if key is None:
                key = self._opener.stored_key(connection, verified.site.name, batch.header.epoch)
            if key is None:
                missing = batch.header.epoch
                verified.refusals.append(Refusal(digest_of(raw), Refused.UNKNOWN_EPOCH, "", missing))
                return
            keys[batch.header.epoch] = key
            body = key.open(batch)
        except errors.ProtocolError as error:
            verified.refusals.append(Refusal(digest_of(raw), _reason(error), str(error)[:500]))
            return
        self._sort_in(connection, batch, body, verified)

    def _sort_in(self, connection: Connection, batch: SealedBatch, body: bytes, verified: VerifiedParcel) -> None:
        if batch.header.kind is Kind.DICTIONARY:
            verified.dictionaries.append((hashlib.sha256(body).digest()[:ID_BYTES], batch.raw))
            return
        named = batch.header.dictionary
        if named is not None and not self._has_dictionary(connection, named, verified):
            verified.refusals.append(Refusal(batch.digest, Refused.UNKNOWN_DICTIONARY, "", named))
            return
        content = hashlib.sha256(body).digest()[:DIGEST_BYTES]
        verified.batches.append(VerifiedBatch(batch.header, batch.digest, content, batch.raw))

    def _has_dictionary(self, connection: Connection, name: bytes, verified: VerifiedParcel) -> bool:
        if any(name == each for each, _ in verified.dictionaries):
            return True
        return inbox.find_dictionary(connection, verified.site.id, name) is not None


def _active(site: Site | None, name: str) -> Site:
    if site is None or site.signing_key is None:
        raise Unauthenticated(f"no site {name[:64]!r} has joined this hub", remedy="farshore-agent enrol TOKEN")
    if site.state is not SiteState.ACTIVE:
        raise SiteRevoked(f"site {name} is {site.state.value}", remedy="ask the hub's operator")
    return site


def _claims(statement: Statement) -> list[tuple[Claim, RangeSet]]:
    try:
        for stream in {claim.stream for claim in statement.claims} | {one.stream for one in statement.receipts}:
            check_any_stream(stream)
    except BadName as error:
        raise errors.Malformed(str(error)) from None
    for receipt in statement.receipts:
        if receipt.last < receipt.first:
            raise errors.Malformed(f"a receipt ends at {receipt.last}, before it starts at {receipt.first}")
    return [(claim, RangeSet.from_wire(claim.held)) for claim in statement.claims]


def _reason(error: errors.ProtocolError) -> Refused:
    if isinstance(error, errors.Unsupported):
        return Refused.UNSUPPORTED
    if isinstance(error, errors.OverLimit):
        return Refused.OVER_LIMIT
    return Refused.NOT_AUTHENTIC if isinstance(error, errors.NotAuthentic) else Refused.MALFORMED
