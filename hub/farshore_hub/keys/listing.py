"""Which keys a hub has, what each is for now, and who has heard of the newest."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from farshore_hub.fleet.key_files import AnyKey, KeyFile, Kind, ca_name, key_files
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.opening import OpenedHub
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import reading
from farshore_hub.store.fleet import SiteState
from farshore_protocol.keyring import Keyring, read_keyring


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key; `use` says what it is for."""

    kind: str
    id: str
    use: str
    file: str


@dataclass(frozen=True, slots=True)
class KeyList:
    """The keys of a hub.

    Attributes:
        keyring: number of the newest; 0: there never was another key.
        made_us: when it was made; 0 likewise.
        sites: that are active.
        unheard: of those, how many were not heard since. They know of it when they come back.
    """

    hub: str
    keyring: int
    made_us: int
    keys: list[ShownKey]
    sites: int
    unheard: int

    def document(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def listed(hub: OpenedHub) -> KeyList:
    """The keys of that hub."""
    keyring = hub.keys.keyring
    with reading(hub.engine) as connection:
        active = [site for site in store.all_sites(connection) if site.state is SiteState.ACTIVE]
    unheard = [site for site in active if (site.last_seen_us or 0) <= keyring.made_us]
    order = {name: at for at, name in enumerate(_newest_first(keyring))}
    files = sorted(key_files(hub.keys.folder), key=lambda each: (each.kind, order.get(each.id, len(order))))
    shown = [ShownKey(each.kind, each.id.hex(), _use(each, keyring), each.path.name) for each in files]
    late = len(unheard) if keyring.number else 0
    return KeyList(hub.keys.hub.hex(), keyring.number, keyring.made_us, shown, len(active), late)


def known_signers(keys: HubKeys) -> list[Ed25519PublicKey]:
    """Every signing key that the hub ever announced, those in use first."""
    rings = [keys.keyring, *map(read_keyring, reversed(keys.chain))]
    return [key for ring in rings for key in ring.signers.values()]


def _newest_first(keyring: Keyring) -> list[bytes]:
    signing = [each.id for each in keyring.signing]
    return [*signing, keyring.sealing.id, *keyring.opened, *map(ca_name, keyring.authorities)]


def _use(file: KeyFile[AnyKey], keyring: Keyring) -> str:
    if file.kind is Kind.SEALING:
        return "seals and opens" if file.id == keyring.sealing.id else "opens"
    of_kind = [each.id for each in keyring.signing] if file.kind is Kind.SIGNING else []
    of_kind = of_kind or [ca_name(each) for each in keyring.authorities]
    if file.id not in of_kind:
        return "none"
    return "signs" if file.id == of_kind[-1] else "announced"
