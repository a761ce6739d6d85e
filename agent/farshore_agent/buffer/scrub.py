"""The scrub: everything in the file is read and checked once in a while, slowly, while the agent runs.

Damage is met while there are other copies: what the hub has can still be asked for, what it has not gets its receipt
now and not after months.
"""

from __future__ import annotations

from typing import Final

import msgspec

from farshore_agent.buffer import outbox, tail
from farshore_agent.buffer.connection import Database, Malformed
from farshore_agent.buffer.epochs import unconfirmed_epoch
from farshore_agent.buffer.inspect import Flaw, Place, step, structure
from farshore_agent.buffer.reconcile import reconcile
from farshore_agent.buffer.repair import CHECKED_AT_START_BYTES
from farshore_agent.buffer.status import SCRUB, last_scrub_us
from farshore_protocol.limits import MIB

STEP_BYTES: Final = MIB
PAUSE_S: Final = 10.0
IDLE_S: Final = 600.0
WHY: Final = "damage was found when the buffer was read through"


class Scrubber:
    """One reading after another; the place is in memory, the end of the last one in the file."""

    def __init__(self) -> None:
        self._at: Place | None = None

    def turn(self, database: Database, now_us: int, every_us: int) -> float:
        """Check a little, if it is time; for how many seconds to leave it then.

        Raises:
            Malformed: only a repair helps.
        """
        if self._at is None:
            finished_us = last_scrub_us(database)
            if finished_us is not None and 0 <= now_us - finished_us < every_us:
                return IDLE_S
            self._at = Place()
        until = self._at.bytes + STEP_BYTES
        while not self._at.is_end and self._at.bytes < until:
            mend(database, step(database, self._at), now_us)
        if not self._at.is_end:
            # A large file is read in half of the time that there is, a small one in no time at all.
            steps = max(1, database.file_bytes() // STEP_BYTES)
            return min(PAUSE_S, every_us / 1_000_000 / 2 / steps)
        self._at = None
        finish(database, now_us)
        return IDLE_S


def scrub_all(database: Database, now_us: int) -> list[Flaw]:
    """Check everything at once, and mend what can be mended; what was found.

    Raises:
        Malformed: only a repair helps.
    """
    _demand_structure(database)
    found: list[Flaw] = []
    at = Place()
    while not at.is_end:
        flaws = step(database, at)
        mend(database, flaws, now_us)
        found += flaws
    finish(database, now_us)
    return found


def mend(database: Database, flaws: list[Flaw], now_us: int) -> None:
    """Give up what cannot be read, with receipts; write a key anew from its copy."""
    for flaw in flaws:
        if flaw.kind == "chunks":
            row = database.row("stream_of_chunk", flaw.id)
            if row:
                tail.drop_damaged(database, row[0], now_us)
        elif flaw.kind == "batches":
            row = database.row("stream_of_batch", flaw.id)
            if row:
                outbox.drop_damaged(database, [(int(flaw.id), row[0])], now_us, WHY)
        elif flaw.kind == "epochs" and isinstance(flaw.id, bytes):
            unconfirmed_epoch(database, flaw.id, now_us)


def finish(database: Database, now_us: int) -> None:
    """Note that everything was read."""
    if database.file_bytes() <= CHECKED_AT_START_BYTES:
        _demand_structure(database)
    reconcile(database, now_us, WHY)
    with database.transaction():
        database.run("set_note", SCRUB, msgspec.msgpack.encode(now_us))


def _demand_structure(database: Database) -> None:
    for flaw in structure(database):
        raise Malformed(flaw.what)
