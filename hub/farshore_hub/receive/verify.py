"""Is this parcel what it says, and whose? Bytes in, a `VerifiedParcel` or an error out; nothing is written here.

Nothing is inflated or decoded: to authenticate a batch it is decrypted, and its content is hashed. One batch that
cannot be taken does not spoil its neighbours: it becomes a refusal in the answer, and the agent keeps it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, Engine

from farshore_hub.errors import Forbidden, HubError, SiteRevoked, Unauthenticated
from farshore_hub.receive.keys import ReceivingKeys, epoch_key
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.receive.site_reports import checked_report
from farshore_hub.store.engine import reading
from farshore_hub.store.fleet import Site, SiteState, find_sites
from farshore_protocol import errors, hours
from farshore_protocol.batch import DIGEST_BYTES, ID_BYTES, BatchHeader, Kind, SealedBatch, digest_of, parse_batch
from farshore_protocol.hours import Hours
from farshore_protocol.limits import MAX_DICTIONARY_BYTES, MAX_TEXT_CHARS
from farshore_protocol.messages import Claim, KeyEpoch, Parcel, Refusal, Refused, Statement
from farshore_protocol.names import BadName, check_any_stream, check_site
from farshore_protocol.orders import Report
from farshore_protocol.parcel import open_statement, parse_parcel
from farshore_protocol.ranges import RangeSet
from farshore_protocol.sealing import EpochKey

_log = logging.getLogger(__name__)

_Keys = dict[bytes, EpochKey | errors.ProtocolError]
"""The keys of epochs by name, or why there is none."""


@dataclass(frozen=True, slots=True)
class BroughtParcel:
    """A parcel as it came.

    Attributes:
        signed_in: the site that the client certificate names; None for a parcel that came as a file.
    """

    raw: bytes
    signed_in: str | None


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
        signer: the site's signing key.
        by_file: it did not come from the site itself, and may be old.
        claims: each with its range set, checked.
        hours: of batches, by incarnation, stream and first sequence: how many records belong to which hour.
        dictionaries: id and sealed batch.
        refusals: batches that are not taken.
        over_quota: batches of it are not taken because of what the hub keeps of its site already.
        report: of the site on its orders, where it brought one that is its own.
    """

    site: Site
    signer: Ed25519PublicKey
    statement: Statement
    claims: list[tuple[Claim, RangeSet]]
    size: int
    by_file: bool = False
    hours: dict[tuple[bytes, str, int], Hours] = field(default_factory=dict)
    epochs: list[KeyEpoch] = field(default_factory=list)
    batches: list[VerifiedBatch] = field(default_factory=list)
    dictionaries: list[tuple[bytes, bytes]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    over_quota: bool = False
    report: Report | None = None


class Verifier:
    """Verifies parcels; blocking, may be used from several threads at once."""

    def __init__(self, engine: Engine, keys: ReceivingKeys, opener: BatchOpener) -> None:
        self._engine = engine
        self._keys = keys
        self._opener = opener

    def verify(self, brought: Sequence[BroughtParcel]) -> list[VerifiedParcel | Exception]:
        """Check parcels, all in one reading transaction; for each what it is, or why it is not taken.

        That is a `ProtocolError` when the parcel as a whole cannot be read, and `Unauthenticated`, `SiteRevoked` or
        `Forbidden` when it is not from an active site, or from another one.
        """
        parsed = [_parsed(each) for each in brought]
        with reading(self._engine) as connection:
            sites = find_sites(connection, {parcel.site for parcel in parsed if isinstance(parcel, Parcel)})
            return [
                parcel if isinstance(parcel, Exception) else self._checked(connection, each, parcel, sites)
                for each, parcel in zip(brought, parsed, strict=True)
            ]

    def _checked(
        self, connection: Connection, brought: BroughtParcel, parcel: Parcel, sites: Mapping[str, Site]
    ) -> VerifiedParcel | Exception:
        try:
            return self._verify(connection, brought, parcel, _active(sites.get(parcel.site), parcel.site))
        except (HubError, errors.ProtocolError) as error:
            return error

    def _verify(self, connection: Connection, brought: BroughtParcel, parcel: Parcel, site: Site) -> VerifiedParcel:
        signer = Ed25519PublicKey.from_public_bytes(site.signing_key or b"")
        statement = open_statement(parcel, signer)
        claims, is_file = _checked_claims(statement), brought.signed_in is None
        told, size = _checked_hours(statement), len(brought.raw)
        verified = VerifiedParcel(site, signer, statement, claims, size, by_file=is_file, hours=told)
        verified.report = self._report(parcel, site)
        keys = self._new_keys(connection, parcel, verified)
        for one in parcel.batches:
            try:
                self._take(connection, one, keys, verified)
            except errors.ProtocolError as error:
                verified.refusals.append(Refusal(digest_of(one), _reason(error), str(error)[:MAX_TEXT_CHARS]))
        return verified

    def _report(self, parcel: Parcel, site: Site) -> Report | None:
        """The report that came along; one that cannot be taken does not hold up the records, and is sent again."""
        if not parcel.report:
            return None
        try:
            return checked_report(parcel.report, site.name, site.signing_key or b"", self._keys)
        except errors.ProtocolError as error:
            _log.warning("the report of site %s is not taken: %s", site.name, error)
            return None

    def _new_keys(self, connection: Connection, parcel: Parcel, verified: VerifiedParcel) -> _Keys:
        """The keys of the epochs that came with the parcel; those that are stored already are not opened again."""
        keys: _Keys = {}
        for epoch in parcel.epochs:
            try:
                keys[epoch.id] = self._new_key(connection, epoch, verified)
            except errors.ProtocolError as error:
                keys[epoch.id] = error
            else:
                verified.epochs.append(epoch)
        return keys

    def _new_key(self, connection: Connection, epoch: KeyEpoch, verified: VerifiedParcel) -> EpochKey:
        if epoch.site != verified.site.name:
            raise errors.NotAuthentic(f"key epoch {epoch.id.hex()} is of {epoch.site!r}")
        stored = self._opener.stored_key(connection, epoch.site, epoch.id)
        return stored or epoch_key(self._keys, epoch, verified.signer)

    def _take(self, connection: Connection, raw: bytes, keys: _Keys, verified: VerifiedParcel) -> None:
        batch = parse_batch(raw)
        epoch = batch.header.epoch
        key = keys.get(epoch) or self._opener.stored_key(connection, verified.site.name, epoch)
        if key is None:
            verified.refusals.append(Refusal(batch.digest, Refused.UNKNOWN_EPOCH, "", epoch))
            return
        if isinstance(key, errors.ProtocolError):
            raise key
        keys[epoch] = key
        self._sort_in(connection, batch, key.open(batch), verified)

    def _sort_in(self, connection: Connection, batch: SealedBatch, body: bytes, verified: VerifiedParcel) -> None:
        if batch.header.kind is Kind.DICTIONARY:
            if len(body) > MAX_DICTIONARY_BYTES:
                raise errors.OverLimit(f"a dictionary has {len(body)} bytes, the bound is {MAX_DICTIONARY_BYTES}")
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
        return self._opener.has_dictionary(connection, verified.site.name, name)


def _parsed(brought: BroughtParcel) -> Parcel | Exception:
    """A parcel of the site that brought it, so far as its envelope says."""
    try:
        parcel = parse_parcel(brought.raw)
        _check_names([parcel.site], check_site)
    except errors.ProtocolError as error:
        return error
    if brought.signed_in is not None and parcel.site != brought.signed_in:
        return Forbidden(
            f"site {brought.signed_in} brought a parcel of {parcel.site!r}", remedy="each site sends its own"
        )
    return parcel


def _active(site: Site | None, name: str) -> Site:
    if site is None or site.signing_key is None:
        raise Unauthenticated(f"no site {name[:64]!r} has joined this hub", remedy="farshore-agent enrol TOKEN")
    if site.state is not SiteState.ACTIVE:
        raise SiteRevoked(f"site {name} is {site.state.value}", remedy="ask the hub's operator")
    return site


def _checked_claims(statement: Statement) -> list[tuple[Claim, RangeSet]]:
    """The claims with their range sets, once all names and ranges of the statement make sense."""
    summaries = [receipt.summary for receipt in statement.receipts if receipt.summary is not None]
    named = {claim.stream for claim in statement.claims} | {receipt.stream for receipt in statement.receipts}
    _check_names(named | {summary[0] for summary in summaries}, check_any_stream)
    for first, last in [*((each.first, each.last) for each in statement.receipts), *(each[1:] for each in summaries)]:
        if last < first:
            raise errors.Malformed(f"a receipt ends at {last}, before it starts at {first}")
    return [(claim, RangeSet.from_wire(claim.held)) for claim in statement.claims]


def _checked_hours(statement: Statement) -> dict[tuple[bytes, str, int], Hours]:
    """The hours of the batches, once all counts by the hour of the statement make sense."""
    for counts in [*(each.hours for each in statement.claims), *(each.hours for each in statement.receipts)]:
        hours.from_wire(counts)
    return {
        (claim.incarnation, claim.stream, first): hours.from_wire(counts)
        for claim in statement.claims
        for first, counts in claim.sealed
    }


def _check_names(names: Iterable[str], check: Callable[[str], str]) -> None:
    try:
        for name in names:
            check(name)
    except BadName as error:
        raise errors.Malformed(str(error)) from None


def _reason(error: errors.ProtocolError) -> Refused:
    if isinstance(error, errors.Unsupported):
        return Refused.UNSUPPORTED
    if isinstance(error, errors.OverLimit):
        return Refused.OVER_LIMIT
    return Refused.NOT_AUTHENTIC if isinstance(error, errors.NotAuthentic) else Refused.MALFORMED
