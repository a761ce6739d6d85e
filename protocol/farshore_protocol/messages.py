"""What an agent and a hub say to each other, as typed MessagePack arrays.

Arrays, not maps: a field is its position. A newer peer may append fields; an older one ignores them. A field is never
removed or given another meaning. Sequences of ranges are in the wire form of `ranges.RangeSet`.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from farshore_protocol import limits, wire

Id = Annotated[bytes, Meta(min_length=8, max_length=8)]
Digest = Annotated[bytes, Meta(min_length=16, max_length=16)]
Signature = Annotated[bytes, Meta(max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=2 * limits.MAX_NAME_CHARS + 1)]
Text = Annotated[str, Meta(max_length=limits.MAX_TEXT_CHARS)]
Count = Annotated[int, Meta(ge=0, le=limits.MAX_SEQUENCE)]
Sequence = Annotated[int, Meta(ge=1, le=limits.MAX_SEQUENCE)]
Ranges = Annotated[list[Count], Meta(max_length=2 * limits.MAX_RANGES)]
HourCounts = Annotated[list[Count], Meta(max_length=2 * limits.MAX_HOURS)]
"""Records by hour of event time, in the wire form of `hours`; empty where that is not known."""
TimeUs = Annotated[int, Meta(ge=-(2**62), le=2**62)]
PackedKeyring = Annotated[bytes, Meta(max_length=limits.MAX_KEYRING_BYTES)]
"""See `keyring`."""

SHORT_DIGEST_BYTES: Final = 8
"""Of a digest in an answer: it tells the batches of one site apart, and nobody gains by making two alike."""


class Reason(enum.StrEnum):
    """Why a range of sequences will not be delivered in full."""

    EVICTED = "evicted"
    """The buffer was full and the stream's policy is to give up its oldest."""
    THINNED = "thinned"
    """The buffer was full; an hourly summary stands for the detail."""
    EXPIRED = "expired"
    """Older than the stream's greatest age."""
    DAMAGED = "damaged"
    """The agent's store was damaged and the records could not be read back."""
    UNRETAINED = "unretained"
    """The hub asks again for what it had acknowledged, and the agent no longer has it."""
    QUARANTINED = "quarantined"
    """The agent holds the records aside, because they cannot be sealed."""


class KeyEpoch(Struct, frozen=True, array_like=True):
    """The key of an epoch, sealed to the hub and signed by the site. Named `id`; batches name it."""

    id: Id
    site: Name
    created_us: TimeUs
    hub_key: Id
    sealed: Annotated[bytes, Meta(max_length=2048)]
    signature: Signature


class Receipt(Struct, frozen=True, array_like=True):
    """A durable statement that `first`…`last` will not be delivered in full, and why.

    `summary` names the records that stand for them (stream, first, last), if there are any. `hours` counts the records
    of the range, all of them, whether they are still wanted or not.
    """

    incarnation: Id
    stream: Name
    first: Sequence
    last: Sequence
    reason: Reason
    at_us: TimeUs
    detail: Text = ""
    summary: tuple[Name, Sequence, Sequence] | None = None
    hours: HourCounts = []


class Claim(Struct, frozen=True, array_like=True):
    """What a site says of one stream in one of its incarnations.

    Attributes:
        head: the last sequence that was given out.
        held: what is at the edge and not yet acknowledged.
        oldest_us: event time of the oldest record of `held`, if there is one.
        closed: no further sequence will be given out in this incarnation.
        hours: how many records were given a sequence in this incarnation so far, by hour; those hours whose count has
            changed since the hub last answered. So it can be said twice, and what is lost is said again.
        sealed: of the batches in this parcel the first sequence, and how many of its records belong to which hour.
    """

    incarnation: Id
    stream: Name
    head: Count
    held: Ranges
    oldest_us: TimeUs | None = None
    closed: bool = False
    hours: HourCounts = []
    sealed: Annotated[list[tuple[Sequence, HourCounts]], Meta(max_length=limits.MAX_PARCEL_BATCHES)] = []


class Statement(Struct, frozen=True, array_like=True):
    """The signed part of a parcel: the manifest and the receipts.

    Attributes:
        site: who says this.
        incarnation: the life that says it.
        number: counts this life's statements from 1; an older one never overrides a newer one.
        at_us: the agent's clock.
        claims: the manifest, a claim per stream and incarnation that is not settled; all of them when `whole`.
        receipts: what will not be delivered.
        whole: whether `claims` names everything the agent still has.
        agent_version: for people.
        keyring: number of the hub's keyring that the site has, see `keyring`; None where the agent knows of none.
    """

    site: Name
    incarnation: Id
    number: Sequence
    at_us: TimeUs
    claims: Annotated[list[Claim], Meta(max_length=limits.MAX_PARCEL_CLAIMS)]
    receipts: Annotated[list[Receipt], Meta(max_length=limits.MAX_PARCEL_RECEIPTS)]
    whole: bool = False
    agent_version: Text = ""
    keyring: Count | None = None


class Parcel(Struct, frozen=True, array_like=True):
    """What one exchange carries from a site to the hub.

    Attributes:
        site: the sender; must be the site that signed.
        statement: a packed `Statement`; exactly the bytes that were signed.
        signature: the site's Ed25519 signature over them.
        epochs: key epochs that batches of this parcel name and that the hub may not hold yet.
        batches: sealed batches, dictionaries before those that need them.
        report: of the site on its orders, see `orders`; empty when there is nothing new to say.
    """

    site: Name
    statement: Annotated[bytes, Meta(max_length=limits.MAX_STATEMENT_BYTES)]
    signature: Signature
    epochs: Annotated[list[KeyEpoch], Meta(max_length=limits.MAX_PARCEL_ATTACHMENTS)]
    batches: Annotated[list[bytes], Meta(max_length=limits.MAX_PARCEL_BATCHES)]
    report: Annotated[bytes, Meta(max_length=limits.MAX_REPORT_BYTES)] = b""


class Refused(enum.StrEnum):
    """Why a hub did not take a batch. The agent keeps it in every case."""

    UNKNOWN_EPOCH = "unknown-epoch"
    """Send the key epoch along."""
    UNKNOWN_DICTIONARY = "unknown-dictionary"
    """Send the dictionary along."""
    NOT_AUTHENTIC = "not-authentic"
    """It does not open: damaged on the way or at the edge."""
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    """The hub is older than the agent. Keep it until the hub is upgraded."""
    OVER_LIMIT = "over-limit"


class Refusal(Struct, frozen=True, array_like=True):
    """One batch that was not taken."""

    digest: Digest
    reason: Refused
    detail: Text = ""
    missing: Id | None = None


class Account(Struct, frozen=True, array_like=True):
    """What the hub durably has of one stream in one incarnation; the agent's cursor is whatever this says.

    Attributes:
        stored: sequences whose records are stored.
        receipted: sequences for which a receipt is stored.
        archived: up to here, every backup that the hub could be restored from has them.
        wanted: sequences whose stored copy was damaged; to be sent again.
    """

    incarnation: Id
    stream: Name
    stored: Ranges
    receipted: Ranges
    archived: Count = 0
    wanted: Ranges = []


def short(digest: bytes) -> bytes:
    """A digest as `Answer.taken` names it."""
    return digest[:SHORT_DIGEST_BYTES]


class Answer(Struct, frozen=True, array_like=True):
    """The hub's answer to a parcel, signed.

    Attributes:
        hub: the hub's name (8 bytes, drawn at `init`).
        life: this start of the hub (8 bytes); a change tells agents to state everything again.
        at_us: the hub's clock.
        site, incarnation, number: of the statement that is answered.
        accounts: for every stream that the parcel names.
        held: key epochs and dictionaries of the parcel that the hub now holds durably.
        refusals: batches that were not taken.
        forked: batches whose range is stored already with other content; kept aside, need not be sent again.
        max_parcel_bytes: the largest parcel that the hub takes now.
        pause_ms: how long to wait before the next parcel.
        orders: for the site, see `orders`: those that it has not reported on.
        heard: number of the newest report of the site that the hub durably has; 0 asks it to introduce itself; None
            where the hub has nothing to say of it.
        taken: batches of the parcel whose records are stored now: the first `SHORT_DIGEST_BYTES` of each digest, one
            after the other. None where the hub is too old to say so.
        broker: HOST:PORT of the MQTT broker that brings orders at once; empty where there is none.
    """

    hub: Id
    life: Id
    at_us: TimeUs
    site: Name
    incarnation: Id
    number: Sequence
    accounts: Annotated[list[Account], Meta(max_length=2 * limits.MAX_PARCEL_CLAIMS)]
    held: list[Id] = []
    refusals: list[Refusal] = []
    forked: list[Digest] = []
    max_parcel_bytes: Count = limits.MAX_PARCEL_BYTES
    pause_ms: Count = 0
    orders: Annotated[
        list[Annotated[bytes, Meta(max_length=limits.MAX_ORDER_BYTES)]], Meta(max_length=limits.MAX_ANSWER_ORDERS)
    ] = []
    heard: Count | None = None
    taken: Annotated[bytes, Meta(max_length=SHORT_DIGEST_BYTES * limits.MAX_PARCEL_BATCHES)] | None = None
    broker: Annotated[str, Meta(max_length=limits.MAX_BROKER_CHARS)] = ""

    @property
    def here(self) -> frozenset[bytes] | None:
        """The short digests of the batches that the hub has for good, stored or kept aside; None as `taken`.

        Of any other batch an account tells nothing: the same sequences may be another machine's records.
        """
        if self.taken is None:
            return None
        size = SHORT_DIGEST_BYTES
        stored = (self.taken[at : at + size] for at in range(0, len(self.taken), size))
        return frozenset([*stored, *map(short, self.forked)])


class SignedAnswer(Struct, frozen=True, array_like=True):
    """A packed `Answer` and the hub's signature over it.

    Attributes:
        chain: the hub's keyrings that the site does not have; each proves itself.
    """

    answer: Annotated[bytes, Meta(max_length=limits.MAX_ANSWER_BYTES)]
    key: Id
    signature: Signature
    chain: Annotated[list[PackedKeyring], Meta(max_length=limits.MAX_CHAIN_KEYRINGS)] = []


STATEMENT: Final = wire.decoder_of(Statement)
PARCEL: Final = wire.decoder_of(Parcel)
ANSWER: Final = wire.decoder_of(Answer)
SIGNED_ANSWER: Final = wire.decoder_of(SignedAnswer)
KEY_EPOCH: Final = wire.decoder_of(KeyEpoch)


def packed_for_signing(epoch: KeyEpoch) -> bytes:
    """The bytes of a key epoch that its signature covers: the message with an empty signature."""
    return wire.pack(msgspec.structs.replace(epoch, signature=b""))
