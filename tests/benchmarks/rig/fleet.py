"""Many sites without agents: each with the identity that a real enrolment gives, and parcels prepared ahead.

The hub cannot tell them from agents: certificates, signatures, keys and batches are real. Only the columns are encoded
once for all sites, and then sealed under each site's own key.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from farshore_agent.identity import keys as key_making
from farshore_agent.identity.answer import membership_of
from farshore_agent.identity.epoch import new_epoch
from farshore_agent.identity.identity import Identity
from farshore_agent.identity.tls import pinned_context
from farshore_hub.fleet import sites
from farshore_hub.fleet.enrol import enrol
from farshore_hub.opening import OpenedHub, open_hub
from farshore_protocol import wire
from farshore_protocol.batch import ID_BYTES, BatchHeader, Kind
from farshore_protocol.enrolment import EnrolmentRequest, read_token
from farshore_protocol.messages import Claim, Statement
from farshore_protocol.parcel import PARCEL_TYPE, pack_parcel
from farshore_shell.system import real_world

_TOKEN_LIFE_S: Final = 3_600
_TIMEOUT_S: Final = 300
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Block:
    """Encoded records that any site may send."""

    body: bytes
    records: int


class Road:
    """How the sites of a fleet reach their hub: by one context of TLS, because ten thousand take a gigabyte.

    Args:
        ca: the hub's.
        port: of the hub on this machine.
        chain: where the certificate of the one that connects may be written, for OpenSSL to read.
    """

    def __init__(self, ca: str, port: int, chain: Path) -> None:
        self._context = pinned_context(ca)
        self._port = port
        self._chain = chain
        self._lock = threading.Lock()

    def connect(self, identity: Identity) -> ssl.SSLSocket:
        """A connection that is signed in as that site. For any thread."""
        raw = socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:  # a connection keeps what its context had when it was made
            self._chain.write_text(identity.membership.certificate + identity.keys.tls_key)
            self._context.load_cert_chain(self._chain)
            connection = self._context.wrap_socket(raw, server_hostname="127.0.0.1", do_handshake_on_connect=False)
        connection.do_handshake()
        return connection


class Site:
    """One site with its parcels, as requests that are ready to be written to its connection."""

    def __init__(self, identity: Identity, road: Road, stream: str, blocks: Iterable[Block]) -> None:
        self.name = identity.site
        self.requests = list(_requests(identity, stream, blocks))
        self._identity = identity
        self._road = road
        self._connection: ssl.SSLSocket | None = None

    def deliver(self, number: int) -> float:
        """Send one parcel, the first over a new connection, and read its answer; how many seconds that took.

        Raises:
            RuntimeError: the hub did not take it.
        """
        self._connection = self._connection or self._road.connect(self._identity)
        began_s = time.monotonic()
        self._connection.sendall(self.requests[number])
        answer = b""
        while not _is_whole(answer):
            more = self._connection.recv(65_536)
            if not more:
                raise RuntimeError(f"the hub closed the connection of {self.name}")
            answer += more
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(answer[:2000].decode(errors="replace"))
        return time.monotonic() - began_s

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(slots=True)
class Delivered:
    """What many sites have delivered, closed loop: each worker waits for an answer before the next parcel."""

    parcels: int = 0
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    def latency_ms(self, share: float) -> float:
        """The latency that this share of the parcels did not exceed."""
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def deliver(fleet: Sequence[Site], numbers: range, *, in_flight: int) -> Delivered:
    """Every site delivers those of its parcels, in order; at most `in_flight` of all sites at one time.

    Raises:
        RuntimeError: the hub did not take one.
    """
    workers = min(in_flight, len(fleet))
    failures: list[BaseException] = []
    latencies: list[list[float]] = [[] for _ in range(workers)]

    def work(at: int) -> None:
        try:
            for number in numbers:
                for site in fleet[at::workers]:
                    latencies[at].append(site.deliver(number))
        except (OSError, RuntimeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(workers)]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    every = [each for own in latencies for each in own]
    return Delivered(len(every), time.monotonic() - began_s, every)


@contextlib.contextmanager
def joined_fleet(
    hub_data: Path, port: int, names: Sequence[str], stream: str, blocks: Sequence[Block]
) -> Iterator[list[Site]]:
    """Sites that have joined the hub by the code that serves enrolments, called in this process."""
    with open_hub(hub_data) as hub:
        identities = [_join(hub, name) for name in names]
    road = Road(identities[0].membership.ca, port, hub_data.with_name("chain.pem"))
    fleet = [Site(identity, road, stream, blocks) for identity in identities]
    try:
        yield fleet
    finally:
        for site in fleet:
            site.close()


def _join(hub: OpenedHub, name: str) -> Identity:
    token = read_token(sites.add(hub.fleet, name, _TOKEN_LIFE_S))
    keys = key_making.create_keys(real_world().random)
    signing_key = keys.signer().public_key().public_bytes_raw()
    request = EnrolmentRequest(name, token.secret, key_making.certificate_request(keys, name), signing_key)
    return key_making.identity_of(keys, membership_of(enrol(hub.fleet, wire.pack(request)), name))


def _requests(identity: Identity, stream: str, blocks: Iterable[Block]) -> Iterator[bytes]:
    """The first parcel brings the key epoch, the others a batch alone; each claims what its predecessors brought."""
    world = real_world()
    incarnation = os.urandom(ID_BYTES)
    epoch, key = new_epoch(identity, world.clock, world.random)
    head = 0
    for number, block in enumerate(blocks):
        header = BatchHeader(Kind.RECORDS, incarnation, epoch.id, number, stream, head + 1, block.records)
        head += block.records
        statement = Statement(
            site=identity.site,
            incarnation=incarnation,
            number=number + 1,
            at_us=world.clock.now_us(),
            claims=[Claim(incarnation, stream, head, [])],
            receipts=[],
        )
        sealed = key.seal(header, block.body).raw
        parcel = pack_parcel(statement, identity.signer, epochs=[] if number else [epoch], batches=[sealed])
        yield (
            f"POST /v1/parcels HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {PARCEL_TYPE}\r\n"
            f"content-length: {len(parcel)}\r\n\r\n"
        ).encode() + parcel


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(end and length and len(body) >= int(length[1]))
