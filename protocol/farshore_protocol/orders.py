"""Orders from the hub to one site, and the site's reports: the same bytes over MQTT, in answers, parcels and files.

Either is a document, sealed and signed (see `documents`). Whoever carries it can hold it up, hand it over twice, or
hand over an older one: against that the receiver remembers the highest `number`, for each kind of order and for
reports; see `next_number`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta, Struct

from farshore_protocol import wire
from farshore_protocol.documents import Kind, Message, Signer
from farshore_protocol.enrolment import HubKey
from farshore_protocol.limits import (
    MAX_COMMAND_DATA_BYTES,
    MAX_ORDER_BYTES,
    MAX_REPORT_BYTES,
    MAX_REPORT_PROBLEMS,
    MAX_SCHEMA_BYTES,
    MAX_SEQUENCE,
    MAX_SETTINGS_CHARS,
)
from farshore_protocol.messages import Count, Digest, Sequence, Text, TimeUs
from farshore_protocol.sealing import SEALING_SEED_BYTES, SealingKey

VERSION: Final = 1

_SITE_SEALING: Final = b"farshore/site-sealing/v1\0"

Word = Annotated[str, Meta(min_length=1, max_length=64)]


class Desired(Struct, frozen=True, array_like=True):
    """The settings that a site is to have.

    Attributes:
        settings: TOML; what it says goes over what the site's own file says, key by key.
        revision: which state of the hub's configuration it was rendered from; for people.
        probe_s: how long the site watches itself under them before it keeps them.
    """

    settings: Annotated[str, Meta(max_length=MAX_SETTINGS_CHARS)]
    revision: Count
    probe_s: Annotated[int, Meta(ge=0, le=86_400)]


class Command(Struct, frozen=True, array_like=True):
    """Something to be done once. A name that an agent does not know is answered as such."""

    name: Word
    arguments: Annotated[dict[Word, Text], Meta(max_length=16)] = {}


class Order(Message, frozen=True, array_like=True):
    """What one site is to do. Has settings or a command; one that has neither is of a kind that a newer hub knows.

    Attributes:
        hub: who says it.
        site: who is to do it.
        number: higher than that of every earlier order of this kind to this site, see `next_number`.
        made_us: the hub's clock.
        expires_us: from when on, by the hub's clock, it is no longer to be begun; None: never.
    """

    number: Sequence
    made_us: TimeUs
    expires_us: TimeUs | None
    desired: Desired | None = None
    command: Command | None = None


class Outcome(enum.StrEnum):
    """What became of the latest settings that a site was sent."""

    PROBING = "probing"
    """They are in force, and the site watches itself under them."""
    KEPT = "kept"
    """They are in force for good."""
    REFUSED = "refused"
    """They were never in force: not valid here, not allowed here."""
    ROLLED_BACK = "rolled-back"
    """They were in force, the probe failed, and those before them are in force again."""


class SettingsReport(Struct, frozen=True, array_like=True):
    """How a site stands to its desired settings.

    Attributes:
        running: number of the order whose settings are in force; 0: the site's own file alone.
        latest: number of the newest order that came.
        outcome: what became of that one.
        problems: why, in words for people.
    """

    running: Count
    latest: Sequence
    outcome: Outcome
    problems: Annotated[list[Text], Meta(max_length=MAX_REPORT_PROBLEMS)] = []


class CommandReport(Struct, frozen=True, array_like=True):
    """The answer to the latest command.

    Attributes:
        number: of the order.
        done: whether it was done; if not, `text` says why.
        data: what was asked for, such as a support bundle.
    """

    number: Sequence
    done: bool
    text: Text = ""
    data: Annotated[bytes, Meta(max_length=MAX_COMMAND_DATA_BYTES)] = b""


class Introduction(Struct, frozen=True, array_like=True):
    """What a hub has to know of a site before it can send it orders.

    Attributes:
        sealing_key: what orders are sealed to.
        schema: JSON Schema of this agent's settings, with its installed inputs; compressed with zstandard.
        accepts: names of the settings' top tables and keys that this site lets the hub change.
    """

    sealing_key: HubKey
    schema: Annotated[bytes, Meta(max_length=MAX_SCHEMA_BYTES)]
    accepts: Annotated[list[Word], Meta(max_length=64)]


class Report(Message, frozen=True, array_like=True):
    """What a site says of itself and its orders; always all of it, so that the newest is enough.

    Attributes:
        number: higher than that of every earlier report of this site.
        at_us: the agent's clock.
        schema: the first 16 bytes of the SHA-256 of `Introduction.schema`, compressed as it is.
        command: the answer to the latest command, until the hub says that it has it.
        introduction: likewise.
    """

    number: Sequence
    at_us: TimeUs
    agent_version: Text
    schema: Digest
    settings: SettingsReport | None = None
    command: CommandReport | None = None
    introduction: Introduction | None = None


_ORDER: Final = Kind("order", b"FSO", VERSION, b"farshore/order/v1\0", wire.decoder_of(Order), MAX_ORDER_BYTES)
_REPORT: Final = Kind("report", b"FSR", VERSION, b"farshore/report/v1\0", wire.decoder_of(Report), MAX_REPORT_BYTES)


def pack_order(order: Order, signer: Signer, site_key: HubKey, chain: tuple[bytes, ...] = ()) -> bytes:
    """Seal an order to its site and sign it; the newest keyrings of `chain` go with it.

    Raises:
        Malformed: `site_key` is no key.
        OverLimit: it would be longer than `MAX_ORDER_BYTES`.
    """
    return _ORDER.pack(order, signer, site_key, chain)


def sign_order(raw: bytes, signer: Signer, chain: tuple[bytes, ...] = ()) -> bytes:
    """The same sealed order signed by `signer`, whose hub has made it, whatever key it was signed with before.

    Raises:
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    return _ORDER.sign(raw, signer, chain)


def chain_of_order(raw: bytes) -> list[bytes]:
    """The keyrings that come with an order; see `keyring.follow`.

    Raises:
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    return _ORDER.envelope(raw).chain


def open_order(
    raw: bytes, *, hub: bytes, site: str, key: SealingKey, signers: Mapping[bytes, Ed25519PublicKey]
) -> Order:
    """Check and read an order: of this hub, for this site. Whether it is new the caller has to see.

    Args:
        raw: as it came.
        hub: the hub's id.
        site: this site.
        key: this site's sealing key.
        signers: the hub's signing keys by name.

    Raises:
        NotAuthentic: of another hub, for another site, or made by somebody else.
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    return _ORDER.open(raw, hub=hub, site=site, keys=[key], signers=signers)


def pack_report(report: Report, signer: Signer, hub_key: HubKey) -> bytes:
    """Seal a report to the hub and sign it.

    Raises:
        Malformed: `hub_key` is no key.
        OverLimit: it would be longer than `MAX_REPORT_BYTES`.
    """
    return _REPORT.pack(report, signer, hub_key)


def site_of_report(raw: bytes) -> str:
    """Whose report it says it is, so that the site's key can be looked up. Not to be believed before `open_report`.

    Raises:
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    return _REPORT.envelope(raw).site


def open_report(
    raw: bytes, *, hub: bytes, site: str, keys: list[SealingKey], signers: Mapping[bytes, Ed25519PublicKey]
) -> Report:
    """Check and read a report of `site` to `hub`. Whether it is new the caller has to see.

    Args:
        raw: as it came.
        hub: this hub's id.
        site: who must have made it.
        keys: this hub's sealing keys.
        signers: the site's signing key by name.

    Raises:
        NotAuthentic: of another site, for another hub, or made by somebody else.
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    return _REPORT.open(raw, hub=hub, site=site, keys=keys, signers=signers)


def next_number(now_us: int, *, highest: int) -> int:
    """The number of the next order or report.

    The clock, so that a sender that was restored from a backup does not use a number again; and one more than the
    highest one that the sender has given out or the receiver says it has, so that a wrong clock does not matter.
    """
    return min(max(now_us, highest + 1, 1), MAX_SEQUENCE)


def site_sealing_key(signing_key: bytes) -> SealingKey:
    """The key that orders to a site are sealed to, from the 32 bytes of its signing key (HKDF, RFC 5869)."""
    hkdf = HKDF(algorithm=SHA256(), length=SEALING_SEED_BYTES, salt=None, info=_SITE_SEALING)
    return SealingKey.of_seed(hkdf.derive(signing_key))


def is_due(order: Order, hub_now_us: int) -> bool:
    """Whether the order may still be begun at that time of the hub."""
    return order.expires_us is None or hub_now_us < order.expires_us
