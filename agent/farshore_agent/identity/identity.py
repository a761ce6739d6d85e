"""A site's identity at rest: one private file that is replaced whole, so that keys and certificate always fit together.

`identity.json` holds everything. `tls.pem` is made from it, because OpenSSL takes a certificate and its key from a file
only.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from farshore_agent.errors import IdentityError, NotEnrolled
from farshore_agent.identity.files import make_private_dir
from farshore_protocol.enrolment import Membership
from farshore_protocol.errors import ProtocolError
from farshore_protocol.keyring import follow
from farshore_protocol.limits import KIB
from farshore_protocol.sealing import check_sealing_key
from farshore_shell.files import write_private

FILE: Final = "identity.json"
CHAIN_FILE: Final = "tls.pem"
VERSION: Final = 1
MAX_BYTES: Final = 256 * KIB
"""Of the file; a real one has about 6 KiB."""

_REMEDY: Final = "restore the folder from a backup, or enrol again with a new token and --force"


class _Stored(msgspec.Struct, frozen=True):
    """The file."""

    version: int
    tls_key: str
    signing_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    not_after_us: int
    membership: Membership
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class SiteKeys:
    """The site's own secrets.

    Attributes:
        tls_key: PEM; the key of the client certificate.
        signing_key: 32 bytes; signs statements and key epochs until the site joins anew.
    """

    tls_key: str = field(repr=False)
    signing_key: bytes = field(repr=False)

    def signer(self) -> Ed25519PrivateKey:
        """The signing key, ready to use."""
        return Ed25519PrivateKey.from_private_bytes(self.signing_key)


@dataclass(frozen=True)
class Identity:
    """The keys, and what the hub answered to the latest enrolment or renewal.

    Attributes:
        not_after_us: when the certificate ends, on the hub's clock.
        outdated: the hub has another authority than when it was issued, and may not trust it much longer.
    """

    keys: SiteKeys
    membership: Membership
    not_after_us: int
    outdated: bool = False

    @property
    def site(self) -> str:
        """The site's name."""
        return self.membership.site

    @functools.cached_property
    def signer(self) -> Ed25519PrivateKey:
        """The site's signing key."""
        return self.keys.signer()

    @property
    def authorities(self) -> str:
        """The CA certificates, PEM, that the hub's own may be of."""
        return "".join(self.membership.authorities) or self.membership.ca

    def following(self, chain: Sequence[bytes]) -> Identity:
        """The same site, with the hub's newest keys that a chain of keyrings leads to from those that it has."""
        known = self.membership
        keyring = follow(chain, hub=known.hub, number=known.keyring, signers=self.hub_keys)
        if keyring is None:
            return self
        membership = msgspec.structs.replace(
            self.membership,
            signing_keys=keyring.signing,
            sealing_keys=[keyring.sealing],
            ca=keyring.authorities[-1],
            authorities=keyring.authorities,
            keyring=keyring.number,
        )
        other = (known.authorities or [known.ca])[0] != keyring.authorities[0]
        return replace(self, membership=membership, outdated=self.outdated or other)

    @functools.cached_property
    def hub_keys(self) -> dict[bytes, Ed25519PublicKey]:
        """The keys that the hub's answers may be signed with, by name."""
        return {key.id: Ed25519PublicKey.from_public_bytes(key.public) for key in self.membership.signing_keys}

    @classmethod
    def load(cls, folder: Path) -> Identity:
        """Read the identity of a site.

        Raises:
            NotEnrolled: there is none.
            IdentityError: the file is damaged, or from a newer agent.
        """
        path = folder / FILE
        try:
            stored = msgspec.json.decode(_read(path), type=_Stored)
        except FileNotFoundError:
            raise NotEnrolled(
                f"there is no identity in {folder}",
                remedy="ask the hub's operator for a token (farshore-hub site add NAME), then run: "
                "farshore-agent enrol TOKEN",
            ) from None
        except OSError as error:
            raise IdentityError(f"{path} cannot be read: {error.strerror}", remedy="run as the agent's user") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise IdentityError(f"{path} is damaged: {error}", remedy=_REMEDY) from None
        if stored.version != VERSION:
            raise IdentityError(f"{path} has version {stored.version}", remedy="upgrade this agent")
        keys = SiteKeys(stored.tls_key, stored.signing_key)
        found = cls(keys, stored.membership, stored.not_after_us, stored.outdated)
        found._check_keys(path)
        return found

    def _check_keys(self, path: Path) -> None:
        """That the keys are keys is better known now than when something is sealed; OpenSSL looks at the others."""
        try:
            for key in self.membership.sealing_keys:
                check_sealing_key(key.public)
            for key in self.membership.signing_keys:
                Ed25519PublicKey.from_public_bytes(key.public)
        except (ProtocolError, ValueError) as error:
            raise IdentityError(f"{path} is damaged: a key in it is none: {error}", remedy=_REMEDY) from None

    def save(self, folder: Path) -> None:
        """Replace the identity in `folder`, durably.

        Raises:
            OSError: the disk is full or refuses.
        """
        make_private_dir(folder)
        keys = self.keys
        stored = _Stored(VERSION, keys.tls_key, keys.signing_key, self.not_after_us, self.membership, self.outdated)
        write_private(folder / FILE, msgspec.json.format(msgspec.json.encode(stored), indent=1))

    def write_chain(self, folder: Path) -> Path:
        """Write certificate and key for OpenSSL; returns the file.

        Raises:
            OSError: the disk is full or refuses.
        """
        path = folder / CHAIN_FILE
        content = (self.membership.certificate + self.keys.tls_key).encode()
        if not path.exists() or path.read_bytes() != content:
            write_private(path, content)
        return path


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise IdentityError(f"{path} is damaged: it has more than {MAX_BYTES} bytes", remedy=_REMEDY)
    return raw
