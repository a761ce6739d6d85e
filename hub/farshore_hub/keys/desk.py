"""Rotating and retiring keys of a hub that may be running.

The folder is what counts: first the new keys, then the file of keyrings, which is what makes them count, then what is
no longer needed is deleted. What follows from it in the database can be done again: a secret opens with the old key as
long as that is there, and an order signed with a retired key is signed anew.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from farshore_hub import settings
from farshore_hub.errors import Conflict
from farshore_hub.fleet.key_files import CHAIN, HUB, Kind, ca_name, key_files, packed_chain
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.keys.planning import Change, retirement, rotation
from farshore_hub.opening import OpenedHub
from farshore_hub.orders.secrets import resealed
from farshore_hub.store import config, deeds, orders
from farshore_hub.store.deeds import DeedRow
from farshore_hub.store.engine import writing
from farshore_protocol.errors import NotAuthentic
from farshore_protocol.orders import sign_order
from farshore_shell.files import sync_folder, write_private

_SUBJECT: Final = "keys"

Files = dict[str, bytes]
"""Files of the folder with the keys, by name; secret."""


@dataclass(frozen=True, slots=True)
class KeyDesk:
    """Changes the keys of a hub.

    Attributes:
        by: who says so, for the book.
    """

    hub: OpenedHub
    by: str

    def rotate(self, kinds: Collection[Kind], keep: Callable[[Files], None]) -> Change:
        """Make and announce another key of each of these kinds.

        Args:
            kinds: of keys.
            keep: is given all keys with those that are made, before any of them is in use: a key that is lost with
                the hub takes with it whatever was sealed to it.

        Raises:
            Conflict: there are as many as there may be, or somebody else changes keys now.
            OSError: the disk does not take them; nothing has changed.
        """
        hub = self.hub
        with _alone(hub.keys):
            change = rotation(hub.keys.private, kinds, hub.fleet.clock, hub.fleet.random)
            chain = packed_chain([*hub.keys.chain, change.signed])
            keep({**files_of(hub.keys), **change.files, CHAIN: chain})
            for name, content in change.files.items():
                write_private(hub.keys.folder / name, content)
            write_private(hub.keys.folder / CHAIN, chain)
            self._follow_up("rotated", kinds)
        return change

    def retire(self, kinds: Collection[Kind]) -> Change:
        """Trust and use the newest key of each of these kinds alone, and delete the others.

        Raises:
            Conflict: of a kind there is one key only, a secret opens with none of the keys, or somebody else changes
                keys now.
            OSError: the disk does not take it.
        """
        hub = self.hub
        with _alone(hub.keys):
            change = retirement(hub.keys.private, kinds, hub.fleet.clock)
            if Kind.SEALING in kinds:
                with writing(hub.engine) as connection:
                    _reseal(connection, hub.keys)
            write_private(hub.keys.folder / CHAIN, packed_chain([*hub.keys.chain, change.signed]))
            self._follow_up("retired", kinds)
            _delete(hub.keys, kinds)
        return change

    def _follow_up(self, deed: str, kinds: Collection[Kind]) -> None:
        hub = self.hub
        with writing(hub.engine) as connection:
            _reseal(connection, hub.keys)
            _sign_orders(connection, hub.keys)
            text = f"{', '.join(sorted(kinds))}: keyring {hub.keys.keyring.number}"
            deeds.note(connection, DeedRow(hub.fleet.clock.now_us(), self.by, _SUBJECT, deed, text))
        settings.ca_path(hub.place.data_dir).write_bytes(hub.keys.trusted_pem)


def files_of(keys: HubKeys) -> Files:
    """All files of a hub's keys but the TLS certificate, which a hub makes by itself."""
    paths = [keys.folder / HUB, keys.folder / CHAIN, *(each.path for each in key_files(keys.folder))]
    return {path.name: path.read_bytes() for path in paths if path.exists()}


def _delete(keys: HubKeys, kinds: Collection[Kind]) -> None:
    """Delete every key of these kinds that is not in use."""
    keyring = keys.keyring
    used = {keyring.sealing.id, *(each.id for each in keyring.signing), *map(ca_name, keyring.authorities)}
    for each in key_files(keys.folder):
        if each.kind in kinds and each.id not in used:
            each.path.unlink()
    sync_folder(keys.folder)


def _reseal(connection: Connection, keys: HubKeys) -> None:
    """Seal secrets to the newest key."""
    newest = keys.sealing.id
    for row in config.secrets(connection).values():
        if row.sealed_to == newest:
            continue
        try:
            config.put_secret(connection, resealed(keys, row))
        except NotAuthentic as error:
            raise Conflict(
                f"the secret {row.name} does not open with this hub's keys: {error}",
                remedy=f"set it anew: farshore-hub secret set {row.name}",
            ) from None


def _sign_orders(connection: Connection, keys: HubKeys) -> None:
    """Sign what is under way with the key that signs now, and send the newest keyrings along."""
    signer, chain = keys.signer, keys.chain
    for order_id, raw in orders.sealed(connection):
        orders.put_sealed(connection, order_id, sign_order(raw, signer, chain))
    orders.publish_again(connection)


@contextmanager
def _alone(keys: HubKeys) -> Iterator[None]:
    """Let nobody else change keys meanwhile."""
    handle = os.open(keys.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Conflict("somebody else changes the hub's keys just now", remedy="try again") from None
    finally:
        os.close(handle)
