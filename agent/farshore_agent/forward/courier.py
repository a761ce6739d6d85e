"""From batches to a signed parcel, and from a signed answer back to what it changes. No link is needed for either.

So a parcel is the same over HTTPS and on a stick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from farshore_agent.buffer import Buffer
from farshore_agent.buffer.model import LoadedBatch, OutboxBatch, Settled
from farshore_protocol import __version__
from farshore_protocol.errors import NotAuthentic
from farshore_protocol.limits import MAX_PARCEL_BYTES
from farshore_protocol.messages import Answer, KeyEpoch, Statement
from farshore_protocol.parcel import open_signed, pack_parcel, parse_answer
from farshore_protocol.ports import Clock, Runner
from farshore_protocol.sealing import sign_epoch

_EPOCH_BYTES: Final = 1_400
"""A sealed key epoch, its signature and names."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a parcel is signed with, and the keys by name that its answer may be signed with.

    Attributes:
        keyring: number of the hub's keyring that `hub_keys` are of.
    """

    site: str
    signer: Ed25519PrivateKey
    hub_keys: dict[bytes, Ed25519PublicKey]
    keyring: int = 0


FollowKeys = Callable[[Sequence[bytes]], Credentials | None]
"""Follows the hub's keyrings; None where there is nobody any more to answer for."""


class Mailbox(Protocol):
    """What a courier has to do with orders: it carries reports there, and brings back what the answer holds."""

    def report(self) -> bytes | None:
        """The report that the hub does not have, if there is one."""
        ...

    @property
    def has_news(self) -> bool:
        """Whether there is one that was never fetched."""
        ...

    def take(self, raw: bytes) -> None:
        """This came as an order."""
        ...

    def heard(self, number: int | None) -> None:
        """The hub says which report it has."""
        ...

    def tell_broker(self, place: str) -> None:
        """The hub says where its MQTT broker is; empty: there is none."""
        ...


class NoMailbox:
    """For who neither takes orders nor reports; a `Mailbox`."""

    has_news = False

    def report(self) -> bytes | None:
        """None."""
        return None

    def take(self, raw: bytes) -> None:
        """Not looked at."""

    def heard(self, number: int | None) -> None:
        """Not looked at."""

    def tell_broker(self, place: str) -> None:
        """Not looked at."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A parcel, ready to go.

    Attributes:
        incarnation, number: of its statement.
        batches: what it carries, dictionaries not counted.
        whole: its statement names everything.
        has_report: it carries one.
    """

    raw: bytes
    incarnation: bytes
    number: int
    batches: tuple[OutboxBatch, ...]
    whole: bool
    has_report: bool = False


class Courier:
    """Packs and opens for one site. Keeps batches that were read ahead, so that the next parcel is soon ready."""

    def __init__(
        self,
        buffer: Buffer,
        credentials: Credentials,
        clock: Clock,
        runner: Runner,
        mailbox: Mailbox | None = None,
        follow: FollowKeys = lambda _chain: None,
    ) -> None:
        self._buffer = buffer
        self._mailbox: Mailbox = mailbox or NoMailbox()
        self._mute_until_s = 0.0
        self._credentials = credentials
        self._follow = follow
        self._clock = clock
        self._runner = runner
        self._ahead: dict[int, LoadedBatch] = {}

    async def read_ahead(self, batches: Sequence[OutboxBatch]) -> None:
        """Read batches that will probably be packed next."""
        self._ahead = {batch.id: batch for batch in await self._buffer.load([batch.id for batch in batches])}

    @property
    def has_news(self) -> bool:
        """Whether there is a report that is worth a parcel of its own."""
        return self._mailbox.has_news and not self._is_mute

    def leave_report_out(self, for_s: float) -> None:
        """Records must not suffer from a report that the hub fails at, or that is too large for the way."""
        self._mute_until_s = self._clock.monotonic_s() + for_s

    async def pack(self, batches: Sequence[OutboxBatch], *, whole: bool, max_bytes: int) -> Packed:
        """A parcel of these batches, or of the first of them where their dictionaries and keys take the room.

        Raises:
            BufferBroken: the disk does not read or store.
        """
        loaded = await self._loaded(batches)
        stored, dictionaries = await self._buffer.attachments(loaded)
        epochs = [sign_epoch(epoch, self._credentials.signer) for epoch in stored]
        report = b"" if self._is_mute else self._mailbox.report() or b""
        taken = _fitting(loaded, _size_of(epochs, dictionaries) + len(report), max_bytes)
        incarnation = self._buffer.incarnation
        # In their order, not a set's: the same buffer makes the same parcel.
        streams = dict.fromkeys((batch.incarnation, batch.stream) for batch in taken)
        manifest = await self._buffer.manifest(whole=whole, streams=streams, batches=[batch.id for batch in taken])
        statement = Statement(
            site=self._credentials.site,
            incarnation=incarnation,
            number=manifest.number,
            at_us=self._clock.now_us(),
            claims=manifest.claims,
            receipts=manifest.receipts,
            whole=manifest.whole,
            agent_version=__version__,
            keyring=self._credentials.keyring,
        )
        sealed = [*dictionaries, *(raw.raw for raw in taken.values())]
        work = partial(pack_parcel, statement, self._credentials.signer, epochs=epochs, batches=sealed, report=report)
        return Packed(await self._runner(work), incarnation, manifest.number, tuple(taken), whole, bool(report))

    def open(self, raw: bytes) -> Answer:
        """Check an answer: signed by this hub, for this site. The keyrings that came with it are followed first.

        Raises:
            ProtocolError: it cannot be used.
        """
        signed = parse_answer(raw)
        if signed.chain:
            self._credentials = self._follow(signed.chain) or self._credentials
        answer = open_signed(signed, self._credentials.hub_keys)
        if answer.site != self._credentials.site:
            raise NotAuthentic(f"the answer is for the site {answer.site}, this is {self._credentials.site}")
        return answer

    async def settle(self, raw: bytes) -> tuple[Answer, Settled]:
        """Check an answer and apply it.

        Raises:
            ProtocolError: it cannot be used; nothing was changed.
        """
        answer = self.open(raw)
        settled = await self._buffer.settle(answer)
        # Orders prove themselves; the rest is taken from an answer to us only, lest an old one is played again.
        for order in answer.orders:
            self._mailbox.take(order)
        if not settled.ignored:
            self._mailbox.heard(answer.heard)
            self._mailbox.tell_broker(answer.broker)
        return answer, settled

    @property
    def _is_mute(self) -> bool:
        return self._clock.monotonic_s() < self._mute_until_s

    async def _loaded(self, batches: Sequence[OutboxBatch]) -> dict[OutboxBatch, LoadedBatch]:
        """The bytes of each batch; a damaged one, which has a receipt now, is left out."""
        ahead, self._ahead = self._ahead, {}
        missing = [batch.id for batch in batches if batch.id not in ahead]
        read = {batch.id: batch for batch in await self._buffer.load(missing)} if missing else {}
        found = ((batch, ahead.get(batch.id) or read.get(batch.id)) for batch in batches)
        return {batch: loaded for batch, loaded in found if loaded}


def _size_of(epochs: Sequence[KeyEpoch], dictionaries: Sequence[bytes]) -> int:
    return len(epochs) * _EPOCH_BYTES + sum(map(len, dictionaries))


def _fitting(
    loaded: dict[OutboxBatch, LoadedBatch], attached_bytes: int, max_bytes: int
) -> dict[OutboxBatch, LoadedBatch]:
    """The first batches that fit beside the attachments, and at least one."""
    left = min(max_bytes, MAX_PARCEL_BYTES) - attached_bytes
    taken: dict[OutboxBatch, LoadedBatch] = {}
    for batch, raw in loaded.items():
        left -= len(raw.raw)
        if taken and left < 0:
            break
        taken[batch] = raw
    return taken
