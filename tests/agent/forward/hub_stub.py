"""A small hub for the agent's tests: real TLS, real signatures, real sealing; its memory is its store.

It keeps what a hub promises (an answer says what is stored) and can be told to misbehave.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from farshore_protocol import orders as order_messages
from farshore_protocol import wire
from farshore_protocol.batch import Kind, digest_of, parse_batch
from farshore_protocol.columns import Dictionary, decode
from farshore_protocol.documents import Signer
from farshore_protocol.enrolment import (
    HubKey,
    JoinToken,
    Membership,
    read_enrolment,
    read_renewal,
    signed_renewal,
    write_token,
)
from farshore_protocol.errors import ProtocolError
from farshore_protocol.messages import Account, Answer, KeyEpoch, Parcel, Refusal, Refused, Statement, short
from farshore_protocol.orders import Command, Desired, Introduction, Order, Report, pack_order
from farshore_protocol.parcel import open_statement, pack_answer, parse_parcel
from farshore_protocol.ranges import EMPTY, RangeSet
from farshore_protocol.sealing import EpochKey, SealingKey, check_signature, key_id

NOW = datetime.now(UTC)
SITE = "ship-1"


@dataclass
class Ledger:
    """What the hub has; copied for a backup, put back for a restore."""

    stored: dict[tuple[bytes, str], RangeSet] = field(default_factory=dict)
    receipted: dict[tuple[bytes, str], RangeSet] = field(default_factory=dict)
    records: dict[tuple[bytes, str, int], dict[str, Any]] = field(default_factory=dict)
    epochs: dict[bytes, EpochKey] = field(default_factory=dict)
    dictionaries: dict[bytes, Dictionary] = field(default_factory=dict)
    resent: int = 0

    def of(self, stream: str) -> list[dict[str, Any]]:
        return [record for (_, name, _), record in sorted(self.records.items()) if name == stream]


class Problem(Exception):
    def __init__(self, status: int, kind: str, detail: str, *, headers: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, headers


class HubStub:
    """Listens while it is entered. `faults` are raised by the next parcels, one each."""

    def __init__(self, folder: Path, *, clock_us: int | None = None) -> None:
        self._folder = folder
        self.ca_key, self.ca = _authority("hub under test")
        self.beside_ca: x509.Certificate | None = None
        self._signer = Ed25519PrivateKey.generate()
        self._signing_id = b"signing1"
        self._sealing = SealingKey(b"sealing1", hashlib.shake_256(b"sealing").digest(96))
        self.name, self.life = b"hub-stub", b"life0001"
        self.clock_us = clock_us
        self.ledger = Ledger()
        self.tokens: dict[bytes, str] = {}
        self.signing_keys: dict[str, Ed25519PublicKey] = {}
        self.revoked: set[str] = set()
        self.certificate_life = timedelta(days=30)
        self.parcels: list[Parcel] = []
        self.statements: list[Statement] = []
        self.faults: list[Problem] = []
        self.refuse_next: list[Refused] = []
        self.requests: list[str] = []
        self.connections = 0
        self.unknown_certificates = False
        self.fork_next = False
        self.pause_ms = 0
        self.speaks_of_orders = False
        self.orders: list[bytes] = []
        self.reports: list[Report] = []
        self.introduction: Introduction | None = None
        self._made: dict[bytes, Order] = {}
        self.max_parcel_bytes = 16 * 1024 * 1024
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.restore_link()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut_link()

    @property
    def addresses(self) -> list[str]:
        return [f"https://127.0.0.1:{self.port}"]

    def token(self, site: str = SITE, *, secret: bytes = b"0123456789abcdef", ca_sha256: bytes | None = None) -> str:
        self.tokens[secret] = site
        pin = ca_sha256 or hashlib.sha256(self.ca.public_bytes(serialization.Encoding.DER)).digest()
        return write_token(JoinToken(self.addresses, site, secret, pin))

    async def cut_link(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def restore_link(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self._server_chain())
        context.load_verify_locations(cadata=self.ca.public_bytes(serialization.Encoding.PEM).decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VerifyFlags(0x200000)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    def back_up(self) -> Ledger:
        return _copied(self.ledger)

    def restore(self, backup: Ledger) -> None:
        self.ledger = backup
        self.life = hashlib.sha256(self.life).digest()[:8]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                writer.write(self._respond(f"{method} {path}", body, _common_name(writer)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _respond(self, request: str, body: bytes, site: str | None) -> bytes:
        self.requests.append(request)
        site = None if self.unknown_certificates else site
        try:
            answer = {
                "GET /v1/ca": lambda: b"".join(
                    each.public_bytes(serialization.Encoding.PEM) for each in (self.beside_ca, self.ca) if each
                ),
                "POST /v1/enrol": lambda: self._enrol(body),
                "POST /v1/renew": lambda: self._renew(body, site),
                "POST /v1/parcels": lambda: self._take(body, site),
            }[request]()
        except ProtocolError as error:
            return _http(400, json.dumps({"title": "malformed", "detail": str(error)}).encode())
        except Problem as problem:
            document = {"type": f"urn:farshore:problem:{problem.kind}", "title": problem.kind, "detail": str(problem)}
            return _http(problem.status, json.dumps(document).encode(), problem.headers)
        return _http(200, answer)

    def _enrol(self, body: bytes) -> bytes:
        request = read_enrolment(body)
        if self.tokens.pop(request.secret, None) != request.site:
            raise Problem(403, "token-refused", "this join token was used already")
        self.signing_keys[request.site] = Ed25519PublicKey.from_public_bytes(request.signing_key)
        return self._membership(request.site, request.csr)

    def _renew(self, body: bytes, site: str | None) -> bytes:
        request = read_renewal(body)
        if request.site in self.revoked:
            raise Problem(403, "site-revoked", f"site {request.site} is revoked")
        if site != request.site:
            signed = signed_renewal(request.site, request.csr)
            check_signature(self.signing_keys[request.site], request.signature, signed)
        return self._membership(request.site, request.csr)

    def _membership(self, site: str, csr: str) -> bytes:
        key = x509.load_pem_x509_csr(csr.encode()).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        until = datetime.fromtimestamp(self._now_us() / 1e6, UTC) + self.certificate_life
        certificate = _signed(self.ca, self.ca_key, site, [site], key, until, ExtendedKeyUsageOID.CLIENT_AUTH)
        public = self._signer.public_key().public_bytes_raw()
        return wire.pack(
            Membership(
                site=site,
                hub=self.name,
                at_us=self._now_us(),
                certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
                ca=self.ca.public_bytes(serialization.Encoding.PEM).decode(),
                signing_keys=[HubKey(self._signing_id, public)],
                sealing_keys=[HubKey(self._sealing.id, self._sealing.public_bytes())],
                addresses=self.addresses,
            )
        )

    def _take(self, body: bytes, site: str | None) -> bytes:
        if self.faults:
            raise self.faults.pop(0)
        if site is None:
            raise Problem(401, "unauthenticated", "this certificate is not known here")
        if site in self.revoked:
            raise Problem(403, "site-revoked", f"site {site} is revoked")
        if len(body) > self.max_parcel_bytes:
            raise Problem(413, "over-limit", "too large")
        return self.receive(body, site)

    def receive(self, body: bytes, site: str) -> bytes:
        """What `farshore-hub import` does with a file, too."""
        parcel = parse_parcel(body)
        assert parcel.site == site
        statement = open_statement(parcel, self.signing_keys[site])
        self.hear(parcel.report, site)
        self.parcels.append(parcel)
        self.statements.append(statement)
        for epoch in parcel.epochs:
            self.ledger.epochs[epoch.id] = self.open_epoch(epoch)
        refusals = [refusal for raw in parcel.batches if (refusal := self._store(raw))]
        named = {(claim.incarnation, claim.stream) for claim in statement.claims}
        for receipt in statement.receipts:
            key = (receipt.incarnation, receipt.stream)
            have = self.ledger.receipted.get(key, EMPTY)
            self.ledger.receipted[key] = have | RangeSet.of((receipt.first, receipt.last))
            named.add(key)
        brought = [digest_of(raw) for raw in parcel.batches]
        forked = brought if self.fork_next else []
        missing = {*forked, *(refusal.digest for refusal in refusals)}
        answer = Answer(
            hub=self.name,
            life=self.life,
            at_us=self._now_us(),
            site=site,
            incarnation=statement.incarnation,
            number=statement.number,
            accounts=[self._account(*key) for key in sorted(named)],
            held=[*self.ledger.epochs, *self.ledger.dictionaries],
            refusals=refusals,
            forked=forked,
            max_parcel_bytes=self.max_parcel_bytes,
            pause_ms=self.pause_ms,
            orders=self.orders[:2],
            heard=self.heard if self.speaks_of_orders else None,
            taken=b"".join(short(digest) for digest in brought if digest not in missing),
        )
        self.fork_next = False
        return pack_answer(answer, self._signing_id, self._signer)

    @property
    def heard(self) -> int:
        """0 asks a site to introduce itself."""
        return self.reports[-1].number if self.reports and self.introduction else 0

    def hear(self, raw: bytes, site: str = SITE) -> None:
        """Take a report, and forget the orders that it is about."""
        if not raw:
            return
        public = self.signing_keys[site]
        signers = {key_id(public.public_bytes_raw()): public}
        report = order_messages.open_report(raw, hub=self.name, site=site, keys=[self._sealing], signers=signers)
        assert report.number > (self.reports[-1].number if self.reports else 0) or report == self.reports[-1]
        self.reports.append(report)
        self.introduction = report.introduction or self.introduction
        told = {each.latest for each in [report.settings] if each} | {each.number for each in [report.command] if each}
        self.orders = [each for each in self.orders if self._made[each].number not in told]

    def order(
        self,
        number: int,
        *,
        settings: str | None = None,
        command: str = "",
        probe_s: int = 0,
        expires_us: int | None = None,
        signer: Signer | None = None,
        site: str = SITE,
        arguments: dict[str, str] | None = None,
    ) -> bytes:
        """An order to a site that has introduced itself; `orders.append` has the next answer bring it."""
        assert self.introduction is not None
        desired = None if settings is None else Desired(settings, number, probe_s)
        asked = Command(command, arguments or {}) if command else None
        order = Order(self.name, site, number, self._now_us(), expires_us, desired, asked)
        raw = pack_order(order, signer or Signer(self._signing_id, self._signer), self.introduction.sealing_key)
        self._made[raw] = order
        return raw

    def open_epoch(self, epoch: KeyEpoch) -> EpochKey:
        return self._sealing.open_epoch(epoch, self.signing_keys[epoch.site])

    def _account(self, incarnation: bytes, stream: str) -> Account:
        stored = self.ledger.stored.get((incarnation, stream), EMPTY)
        receipted = self.ledger.receipted.get((incarnation, stream), EMPTY)
        return Account(incarnation, stream, stored.to_wire(), receipted.to_wire())

    def _store(self, raw: bytes) -> Refusal | None:
        batch = parse_batch(raw)
        header = batch.header
        if self.refuse_next:
            return Refusal(digest_of(raw), self.refuse_next.pop(0), "as the test wants")
        epoch = self.ledger.epochs.get(header.epoch)
        if epoch is None:
            return Refusal(batch.digest, Refused.UNKNOWN_EPOCH, "", header.epoch)
        body = epoch.open(batch)
        if header.kind is Kind.DICTIONARY:
            fresh = Dictionary(body)
            self.ledger.dictionaries[fresh.id] = fresh
            return None
        dictionary = self.ledger.dictionaries.get(header.dictionary) if header.dictionary else None
        for at, record in enumerate(decode(body, dictionary=dictionary).records(), header.first):
            key = (header.incarnation, header.stream, at)
            self.ledger.resent += key in self.ledger.records
            self.ledger.records[key] = record
        stored = self.ledger.stored.get((header.incarnation, header.stream), EMPTY)
        self.ledger.stored[header.incarnation, header.stream] = stored | RangeSet.of((header.first, header.last))
        return None

    def _now_us(self) -> int:
        return self.clock_us or int(datetime.now(UTC).timestamp() * 1e6)

    def _server_chain(self) -> Path:
        """A certificate that ended long ago: an agent does not look at the clock."""
        key = ec.generate_private_key(ec.SECP256R1())
        ended = NOW - timedelta(days=900)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH
        certificate = _signed(self.ca, self.ca_key, "hub", ["farshore-hub"], key.public_key(), ended, purpose)
        path = self._folder / "hub-chain.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + _private_pem(key))
        return path


def _copied(ledger: Ledger) -> Ledger:
    return Ledger(
        dict(ledger.stored),
        dict(ledger.receipted),
        dict(ledger.records),
        dict(ledger.epochs),
        dict(ledger.dictionaries),
    )


def _common_name(writer: asyncio.StreamWriter) -> str | None:
    raw = writer.get_extra_info("ssl_object").getpeercert(True)
    if raw is None:
        return None
    subject = x509.load_der_x509_certificate(raw).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _http(status: int, body: bytes, headers: Sequence[str] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    draft = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1000))
        .not_valid_after(NOW + timedelta(days=1000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    return key, draft.sign(key, hashes.SHA256())


def _signed(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    subject: str,
    names: list[str],
    key: ec.EllipticCurvePublicKey,
    until: datetime,
    purpose: x509.ObjectIdentifier,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    draft = (
        x509.CertificateBuilder(ca.subject, name, key, x509.random_serial_number())
        .not_valid_before(until - timedelta(days=400))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )
    return draft.sign(ca_key, hashes.SHA256())


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
