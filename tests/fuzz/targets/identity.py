"""What a site keeps of itself, damaged, and certificates from both sides."""

from __future__ import annotations

import functools
import json
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from farshore_agent import lock, status
from farshore_agent.cli import status as status_command
from farshore_agent.cli.output import shown_time
from farshore_agent.errors import AgentError, AlreadyRunning, IdentityError
from farshore_agent.identity import identity, keys
from farshore_agent.identity.answer import WrongHub, membership_of
from farshore_agent.identity.epoch import new_epoch
from farshore_agent.identity.identity import Identity, SiteKeys
from farshore_agent.identity.tls import pinned_context
from farshore_hub.errors import Invalid
from farshore_hub.fleet.ca import read_csr
from farshore_protocol import wire
from farshore_protocol.enrolment import HubKey, Membership
from farshore_shell.system import SystemClock, SystemRandom
from tests.fuzz.target import target
from tests.fuzz.targets.messages import csr_pem
from tests.protocol import peers

FOLDER = Path(tempfile.mkdtemp(prefix="farshore-fuzz-"))


@functools.cache
def site_keys() -> SiteKeys:
    """The keys of the seeds' site."""
    return keys.create_keys(SystemRandom())


@functools.cache
def certificate_pem() -> str:
    """A certificate for those keys, signed by itself."""
    key = serialization.load_pem_private_key(site_keys().tls_key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, peers.SITE)]), datetime.now(UTC)
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    draft = draft.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=30))
    return draft.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def good_membership() -> Membership:
    """What a hub answered to them."""
    pem = certificate_pem()
    signing = [HubKey(peers.HUB_SIGNING_ID, peers.HUB_SIGNER.public_key().public_bytes_raw())]
    sealing = [HubKey(peers.HUB_SEALING.id, peers.HUB_SEALING.public_bytes())]
    return Membership(peers.SITE, b"hub-name", 1, pem, pem, signing, sealing, ["https://hub:8443"])


def _identities() -> Iterator[bytes]:
    keys.identity_of(site_keys(), good_membership()).save(FOLDER)
    yield (FOLDER / identity.FILE).read_bytes()


@target(seeds=_identities, max_bytes=8192)
def identity_file(data: bytes) -> None:
    """An identity that is read can be used: its keys are keys, its certificate and the hub's are certificates."""
    (FOLDER / identity.FILE).write_bytes(data)
    try:
        read = Identity.load(FOLDER)
    except AgentError as error:
        assert error.remedy
        return
    new_epoch(read, SystemClock(), SystemRandom())
    assert read.hub_keys
    with suppress(IdentityError):  # OpenSSL looks at certificates when they are used
        pinned_context(read.membership.ca, read.write_chain(FOLDER))


@target(seeds=lambda: [wire.pack(good_membership())], max_bytes=8192)
def enrolment_answer(data: bytes) -> None:
    """A membership that fits the site's keys becomes its identity; it loads again."""
    try:
        made = keys.identity_of(site_keys(), membership_of(data, peers.SITE))
    except (IdentityError, WrongHub):
        return
    made.save(FOLDER)
    assert Identity.load(FOLDER) == made


@target(seeds=lambda: [certificate_pem().encode()])
def ca_certificate(data: bytes) -> None:
    """What answers at GET /v1/ca before it is trusted."""
    with suppress(ValueError):
        assert len(keys.read_ca(data)[1]) == 32


def _requests() -> Iterator[bytes]:
    yield csr_pem().encode()
    yield x509.load_pem_x509_csr(csr_pem().encode()).public_bytes(serialization.Encoding.DER)


@target(seeds=_requests)
def certificate_request(data: bytes) -> None:
    """A certificate signing request that is taken is for a P-256 key and signed by it; as text, and what text holds."""
    armoured = f"-----BEGIN CERTIFICATE REQUEST-----\n{b64encode(data).decode()}\n-----END CERTIFICATE REQUEST-----\n"
    for text in (data.decode(errors="surrogateescape"), armoured):
        with suppress(Invalid):
            assert read_csr(text).curve.name == "secp256r1"


def _statuses() -> Iterator[bytes]:
    link = {"up": True, "state": "idle", "address": "hub:1", "last_error": "", "last_remedy": "", "doing": ""}
    link |= {"last_answer_us": 1_795_000_000_000_000, "clock_offset_us": 5, "clock_offset_error_us": 1}
    yield json.dumps({"at_us": 1_795_000_000_000_000, "link": link | {"refusals": {"malformed": 1}}}).encode()


@target(seeds=_statuses)
def status_file(data: bytes) -> None:
    """The status file of an agent that died while it wrote it is shown as far as it makes sense."""
    (FOLDER / status.FILE).write_bytes(data)
    last = status.read(FOLDER) or {}
    found = {"running": False, "last_seen_us": last.get("at_us"), "link": last.get("link")}
    lines = [shown_time(found["last_seen_us"]), *status_command._link(found)]
    "\n".join(lines).encode(errors="surrogateescape")


@target(seeds=lambda: [b"4711\n"], max_bytes=64)
def lock_file(data: bytes) -> None:
    """Whatever stands in the lock file, it is held by one process, and the other is told so."""
    (FOLDER / lock.FILE).write_bytes(data)
    with lock.StateLock(FOLDER):
        (FOLDER / lock.FILE).write_bytes(data)
        try:
            lock.StateLock(FOLDER)
        except AlreadyRunning as error:
            assert str(error).isprintable()
        else:
            raise AssertionError("two processes hold the lock")
