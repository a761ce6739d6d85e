"""The hub's keys in one encrypted file, to be kept apart from everything else.

archive = "FSB" version(1 byte) MessagePack(Archive)

The passphrase becomes a key by scrypt (RFC 7914); what is inside is sealed with AES-256-GCM, the rest of the message
being associated data. How expensive scrypt is stands in the file, and is bounded before anything is reckoned.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Meta, Struct

from farshore_hub.errors import Invalid
from farshore_protocol import wire
from farshore_protocol.envelope import body_of
from farshore_protocol.errors import ProtocolError
from farshore_protocol.limits import MIB
from farshore_protocol.messages import Id, TimeUs
from farshore_protocol.ports import Random

VERSION: Final = 1
MAX_BYTES: Final = 16 * MIB
MIN_PASSPHRASE_CHARS: Final = 12
COST_LOG2: Final = 17
"""scrypt takes 128 MiB and most of a second."""

_MAGIC: Final = b"FSB"
_CONTEXT: Final = b"farshore/key-archive/v1\0"
_MAX_COST_LOG2: Final = 20
_BLOCK: Final = 8
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12

_Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9.-]{0,99}$")]


class Contents(Struct, frozen=True, array_like=True):
    """What is inside.

    Attributes:
        made_us: the hub's clock.
        files: of the folder with the keys, by name.
    """

    made_us: TimeUs
    files: dict[_Name, bytes]


class Archive(Struct, frozen=True, array_like=True):
    """The file; `hub` says whose keys are in it to whoever has lost the passphrase's label."""

    hub: Id
    cost_log2: Annotated[int, Meta(ge=1, le=_MAX_COST_LOG2)]
    salt: Annotated[bytes, Meta(min_length=_SALT_BYTES, max_length=_SALT_BYTES)]
    nonce: Annotated[bytes, Meta(min_length=_NONCE_BYTES, max_length=_NONCE_BYTES)]
    sealed: bytes


def check_passphrase(passphrase: str) -> None:
    """See that a passphrase is none that is guessed at once.

    Raises:
        Invalid: it is.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise Invalid(
            f"a passphrase has at least {MIN_PASSPHRASE_CHARS} characters",
            remedy="take several words by chance; who has the file can try as many as he likes",
        )


def seal(contents: Contents, hub: bytes, passphrase: str, random: Random, cost_log2: int = COST_LOG2) -> bytes:
    """The file.

    Raises:
        Invalid: the passphrase is too short.
    """
    check_passphrase(passphrase)
    empty = Archive(hub, cost_log2, random.token(_SALT_BYTES), random.token(_NONCE_BYTES), b"")
    sealed = AESGCM(_key(passphrase, empty)).encrypt(empty.nonce, wire.pack(contents), _associated(empty))
    return _MAGIC + bytes((VERSION,)) + wire.pack(msgspec.structs.replace(empty, sealed=sealed))


def hub_of(raw: bytes) -> bytes:
    """Whose keys they say they are.

    Raises:
        Invalid: it is no such file.
    """
    return _archive(raw).hub


def unseal(raw: bytes, passphrase: str) -> Contents:
    """What is inside.

    Raises:
        Invalid: it is no such file, it was changed, or the passphrase is another one.
    """
    archive = _archive(raw)
    try:
        plain = AESGCM(_key(passphrase, archive)).decrypt(archive.nonce, archive.sealed, _associated(archive))
        return wire.unpack(_CONTENTS, plain, what="backup of keys", max_bytes=MAX_BYTES)
    except InvalidTag:
        raise Invalid("the passphrase is another one, or the file was changed") from None
    except ProtocolError as error:
        raise Invalid(str(error)) from None


_ARCHIVE: Final = wire.decoder_of(Archive)
_CONTENTS: Final = wire.decoder_of(Contents)


def _archive(raw: bytes) -> Archive:
    try:
        body = body_of(raw, _MAGIC, VERSION, what="backup of keys", max_bytes=MAX_BYTES)
        return wire.unpack(_ARCHIVE, body, what="backup of keys", max_bytes=MAX_BYTES)
    except ProtocolError as error:
        raise Invalid(str(error), remedy="name a file that 'farshore-hub keys backup' has written") from None


def _key(passphrase: str, archive: Archive) -> bytes:
    kdf = Scrypt(salt=archive.salt, length=_KEY_BYTES, n=1 << archive.cost_log2, r=_BLOCK, p=1)
    return kdf.derive(passphrase.encode())


def _associated(archive: Archive) -> bytes:
    return _CONTEXT + wire.pack(msgspec.structs.replace(archive, sealed=b""))
