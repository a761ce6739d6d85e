"""Opens sealed batches with the epochs and dictionaries that are stored; keeps what it opened lately.

Only what is stored is kept in the cache: a key that came with a parcel whose commit failed must not outlive it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection, Engine

from farshore_hub.receive.keys import ReceivingKeys, epoch_key
from farshore_hub.receive.vectors import ARRAYS
from farshore_hub.store import inbox
from farshore_hub.store.engine import reading
from farshore_protocol.batch import SealedBatch, parse_batch
from farshore_protocol.columns import Columns, Dictionary, decode
from farshore_protocol.errors import NotAuthentic
from farshore_protocol.sealing import EpochKey

K = TypeVar("K")
V = TypeVar("V")

_CACHED_KEYS: Final = 4096
_CACHED_DICTIONARIES: Final = 64
_CACHED_NAMES: Final = 65_536


class BatchOpener:
    """Opens any batch that the hub has stored; may be used from several threads at once."""

    def __init__(self, engine: Engine, keys: ReceivingKeys) -> None:
        self._engine = engine
        self._keys = keys
        self._epochs: _Recent[tuple[str, bytes], EpochKey] = _Recent(_CACHED_KEYS)
        self._dictionaries: _Recent[tuple[str, bytes], Dictionary] = _Recent(_CACHED_DICTIONARIES)
        self._names: _Recent[tuple[str, bytes], bool] = _Recent(_CACHED_NAMES)

    def columns(self, site: str, raw: bytes) -> Columns:
        """The records of a stored batch; columns of integers or floats may be NumPy arrays.

        Raises:
            ProtocolError, DecodeError: it does not open, or what is in it cannot be read.
        """
        batch = parse_batch(raw)
        with reading(self._engine) as connection:
            key = self.stored_key(connection, site, batch.header.epoch)
            dictionary = self._dictionary(connection, site, batch.header.dictionary)
        if key is None:
            raise NotAuthentic(f"key epoch {batch.header.epoch.hex()} of site {site} is not stored")
        return decode(key.open(batch), dictionary=dictionary, vectors=ARRAYS)

    def stored_key(self, connection: Connection, site: str, epoch: bytes) -> EpochKey | None:
        """The key of an epoch that is stored; None where it is not.

        Raises:
            NotAuthentic: it is stored and does not open with this hub's keys.
        """
        known = self._epochs.get((site, epoch))
        if known is not None:
            return known
        stored = inbox.find_epoch(connection, site, epoch)
        if stored is None:
            return None
        key = epoch_key(self._keys, *stored)
        self._epochs.put((site, epoch), key)
        return key

    def has_dictionary(self, connection: Connection, site: str, name: bytes) -> bool:
        """Whether a dictionary of a site is stored."""
        if self._names.get((site, name)):
            return True
        found = inbox.has_dictionary(connection, site, name)
        if found:
            self._names.put((site, name), found)
        return found

    def _dictionary(self, connection: Connection, site: str, name: bytes | None) -> Dictionary | None:
        if name is None:
            return None
        known = self._dictionaries.get((site, name))
        if known is not None:
            return known
        raw = inbox.find_dictionary(connection, site, name)
        if raw is None:
            raise NotAuthentic(f"dictionary {name.hex()} of site {site} is not stored")
        opened = Dictionary(self._open(connection, site, parse_batch(raw)))
        self._dictionaries.put((site, name), opened)
        return opened

    def _open(self, connection: Connection, site: str, batch: SealedBatch) -> bytes:
        key = self.stored_key(connection, site, batch.header.epoch)
        if key is None:
            raise NotAuthentic(f"key epoch {batch.header.epoch.hex()} of site {site} is not stored")
        return key.open(batch)


class _Recent(Generic[K, V]):
    """The most recently used values, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._size:
                self._values.popitem(last=False)
