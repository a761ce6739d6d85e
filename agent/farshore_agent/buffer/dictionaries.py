"""Which streams have a compression dictionary: those whose batches become at least a twentieth smaller with one. Pure.

A dictionary is made of a stream's own recent records and lives as long as this process: its content is not kept in the
clear on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farshore_agent.settings import DictionaryUse
from farshore_protocol.columns import Columns, Dictionary, Effort, encode, train_dictionary
from farshore_protocol.limits import KIB

MAX_CONTENT_BYTES: Final = 64 * KIB
MAX_DICTIONARIES: Final = 8
"""Each takes as much time and memory as decoding its records; the codec keeps this many at hand."""

TRAINING_RECORDS: Final = 4_000
"""A batch of more records has enough history of its own, and trying would cost more than it could save."""

TRAINING_BATCHES: Final = 3
"""A stream is tried once it has had this many batches, on the next one."""

RETRY_AFTER_BATCHES: Final = 256
WORTH_IT: Final = 0.95
SAVINGS_BATCHES: Final = 50
"""The dictionary's own bytes have to be earned back within this many batches."""


@dataclass(slots=True)
class _State:
    """What is known of one stream."""

    batches: int = 0
    try_at: int = TRAINING_BATCHES
    recent: Columns | None = None
    dictionary: Dictionary | None = None


class Dictionaries:
    """Decides batch by batch; remembers the streams' recent records until they were tried."""

    def __init__(self, use: DictionaryUse) -> None:
        self._is_on = use is DictionaryUse.AUTO
        self._states: dict[str, _State] = {}

    @property
    def in_use(self) -> set[bytes]:
        """The names of the dictionaries that the next batches may need."""
        return {state.dictionary.id for state in self._states.values() if state.dictionary}

    def for_batch(self, stream: str, columns: Columns) -> Dictionary | None:
        """The dictionary for a batch of this stream; it has to be stored before the batch."""
        if not self._is_on:
            return None
        state = self._states.setdefault(stream, _State())
        state.batches += 1
        if state.dictionary or columns.count > TRAINING_RECORDS:
            return state.dictionary
        if state.batches > state.try_at and state.recent is not None and len(self.in_use) < MAX_DICTIONARIES:
            state.dictionary = _tried(state.recent, columns)
            state.try_at = state.batches + RETRY_AFTER_BATCHES
            state.recent = None
            return state.dictionary
        if state.batches + TRAINING_BATCHES > state.try_at:
            state.recent = _last_records(state.recent, columns)
        return None


def _last_records(recent: Columns | None, columns: Columns) -> Columns:
    joined = Columns.concat([recent, columns] if recent else [columns])
    return joined.slice(joined.count - min(joined.count, TRAINING_RECORDS), joined.count)


def _tried(recent: Columns, columns: Columns) -> Dictionary | None:
    """A dictionary, if this batch shows that it pays."""
    try:
        dictionary = train_dictionary(recent, max_bytes=MAX_CONTENT_BYTES)
    except ValueError:
        return None
    without = len(encode(columns, effort=Effort.BALANCED))
    with_it = len(encode(columns, effort=Effort.BALANCED, dictionary=dictionary))
    saves = without - with_it
    is_smaller = with_it <= without * WORTH_IT
    return dictionary if is_smaller and saves * SAVINGS_BATCHES >= len(dictionary.content) else None
