"""Bugs that are planted on purpose: the simulation is worth something if it finds every one of them.

Each is a switch of the tests and touches nothing of the product's files. `kinds` are the troubles without which a bug
does no harm; seeds that have none of them are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from unittest.mock import patch

import apsw
import msgspec
from sqlalchemy import Connection

from farshore_agent.buffer import expiry, outbox, sealer, settling, shed, statement, store
from farshore_agent.buffer.buffer import Buffer
from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.group import QueuedAppend, merge
from farshore_agent.buffer.model import Appended, LoadedBatch
from farshore_agent.buffer.outbox import drop_batch
from farshore_agent.buffer.room import Candidate
from farshore_agent.buffer.seal_policy import Due
from farshore_agent.buffer.settle import Change
from farshore_agent.buffer.store import Store
from farshore_agent.buffer.streams import StreamRow, begin_life
from farshore_agent.forward.courier import Courier, Packed
from farshore_agent.forward.forwarder import Forwarder
from farshore_agent.forward.link import LinkDown
from farshore_agent.orders import intake, lifecycle
from farshore_agent.orders.state import State
from farshore_hub.ledger.account import Account
from farshore_hub.ledger.verdict import Fate, StoredBatch, Verdict
from farshore_hub.receive import posting, receiver
from farshore_hub.receive.receiver import Receiver
from farshore_hub.store import inbox
from farshore_protocol import messages
from farshore_protocol.messages import Claim
from farshore_protocol.orders import Order
from farshore_protocol.ranges import RangeSet, upto
from tests.simulation.plan import OLD_BACKUPS

_ACKNOWLEDGE: Final = "UPDATE batches SET state = 2, acknowledged_us = 1 WHERE id = ?"
_HEAD: Final = "SELECT head FROM streams WHERE life = ? AND name = ?"

Switch = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Bug:
    """A bug, how to plant it, and the kinds of trouble that it needs; none for those that always show.

    Attributes:
        always: kinds that every seed is given for it, where those that have all of them would be too few.
        shown_by: a seed that has shown it, and is tried first; when the worlds change, another one may be the first.
    """

    name: str
    plant: Switch
    kinds: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    shown_by: int = 0


# ------------------------------------------------------------------------ agent


def _answer(buffer: Buffer, appends: list[QueuedAppend]) -> None:
    """Tell the producers which sequences their records are going to have."""
    life, group = buffer._store.life, merge(appends, buffer._now_us(), buffer._store._policies)
    for queued, offset in zip(appends, group.offsets, strict=True):
        heads = buffer._store._database.connection.execute(_HEAD, (life.id, queued.stream)).fetchall()
        before = (int(str(heads[0][0])) if heads else 0) + offset
        queued.done.set_result(Appended(life.incarnation, before + 1, before + len(queued.admitted.records), 0))


@contextmanager
def _acknowledged_before_the_commit() -> Iterator[None]:
    commit = Buffer._commit

    async def early(self: Buffer, appends: list[QueuedAppend]) -> None:
        with suppress(apsw.Error):
            _answer(self, appends)
        await commit(self, appends)

    with patch.object(Buffer, "_commit", early):
        yield


@contextmanager
def _timeout_taken_for_success_and_deleted() -> Iterator[None]:
    note = Forwarder._note_failure

    def trusting(self: Forwarder, error: Exception, packed: Packed | None) -> None:
        if isinstance(error, LinkDown) and packed is not None:
            database = self._buffer._store._database
            with database.transaction():
                for batch in packed.batches:
                    drop_batch(database, batch.id)
        note(self, error, packed)

    with patch.object(Forwarder, "_note_failure", trusting):
        yield


@contextmanager
def _sequences_used_again() -> Iterator[None]:
    def same_life(database: Database, incarnation: bytes, now_us: int) -> int:
        newest = database.row("newest_life")
        return int(newest[0]) if newest else begin_life(database, incarnation, now_us)

    begin = Store._begin

    def went_on(self: Store, database: Database, incarnation: bytes, now_us: int) -> None:
        newest = database.row("newest_life")
        begin(self, database, newest[1] if newest else incarnation, now_us)

    with patch.object(store, "begin_life", same_life), patch.object(Store, "_begin", went_on):
        yield


@contextmanager
def _given_up_without_a_receipt() -> Iterator[None]:
    def silently(*_: object) -> int:
        return 0

    with patch.object(shed, "give_up", silently):
        yield


def _apart(database: Database) -> None:
    database.connection.execute("COMMIT")
    database.connection.execute("BEGIN IMMEDIATE")


@contextmanager
def _receipt_in_a_later_transaction() -> Iterator[None]:
    drop = shed.drop_parts

    def hasty(database: Database, row: StreamRow, parts: Sequence[Candidate]) -> None:
        drop(database, row, parts)
        _apart(database)

    with patch.object(shed, "drop_parts", hasty), patch.object(expiry, "drop_parts", hasty):
        yield


@contextmanager
def _head_not_claimed() -> Iterator[None]:
    claim = statement._claim

    def modest(database: Database, row: StreamRow, *rest: Any) -> Claim:  # noqa: ANN401
        return msgspec.structs.replace(claim(database, row, *rest), head=row.acknowledged.highest)

    with patch.object(statement, "_claim", modest):
        yield


@contextmanager
def _cursor_by_own_belief() -> Iterator[None]:
    settle = Courier.settle
    sent: dict[Courier, Packed] = {}

    async def packing(self: Courier, *args: Any, **kwargs: Any) -> Packed:  # noqa: ANN401
        sent[self] = await pack(self, *args, **kwargs)
        return sent[self]

    async def believing(self: Courier, raw: bytes) -> Any:  # noqa: ANN401
        settled = await settle(self, raw)
        for batch in sent[self].batches:
            self._buffer._store._database.connection.execute(_ACKNOWLEDGE, (batch.id,))
        return settled

    pack = Courier.pack
    with patch.object(Courier, "pack", packing), patch.object(Courier, "settle", believing):
        yield


@contextmanager
def _resent_with_other_bytes() -> Iterator[None]:
    load = outbox.load
    seen: set[bytes] = set()

    def careless(database: Database, ids: Sequence[int], now_us: int) -> list[LoadedBatch]:
        found = load(database, ids, now_us)
        again = [LoadedBatch(each.id, each.raw[:-1] + b"\0") if each.raw in seen else each for each in found]
        seen.update(each.raw for each in found)
        return again

    with patch.object(outbox, "load", careless):
        yield


@contextmanager
def _tail_of_an_earlier_life_forgotten() -> Iterator[None]:
    due = Store.due

    def only_mine(self: Store, now_us: int, *, link_up: bool, flush: bool) -> list[Due]:
        return [each for each in due(self, now_us, link_up=link_up, flush=flush) if not each.tail.closed]

    with patch.object(Store, "due", only_mine):
        yield


@contextmanager
def _dictionary_in_memory_only() -> Iterator[None]:
    seen: set[bytes] = set()

    def remembered(_database: Database, name: bytes) -> bool:
        known = name in seen
        seen.add(name)
        return known

    with patch.object(sealer, "has_dictionary", remembered):
        yield


@contextmanager
def _anothers_records_taken_for_its_own() -> Iterator[None]:
    def unaware(self: Change, _unproven: RangeSet) -> Change:
        return self

    with patch.object(Change, "without", unaware):
        yield


@contextmanager
def _order_replayed() -> Iterator[None]:
    def trusting(_order: Order, _state: State) -> None:
        return

    with patch.object(intake, "_check_number", trusting):
        yield


@contextmanager
def _rolled_back_in_words_only() -> Iterator[None]:
    def forgetful(state: State, problems: Sequence[str]) -> State:
        told = roll_back(state, problems)
        return msgspec.structs.replace(told, kept=state.running)

    roll_back = lifecycle.rolled_back
    with patch.object(lifecycle, "rolled_back", forgetful):
        yield


# -------------------------------------------------------------------------- hub


@contextmanager
def _archived_while_backups_are_older() -> Iterator[None]:
    with patch.dict(receiver.ARCHIVED, never=receiver.archived_when_stored):
        yield


@contextmanager
def _nothing_is_a_duplicate() -> Iterator[None]:
    def always_fresh(_account: Account, newcomer: StoredBatch, _known: object) -> Verdict:
        whole = RangeSet(((newcomer.first, newcomer.first + newcomer.count - 1),))
        return Verdict(Fate.FRESH, whole, "whatever it is")

    with patch.object(posting, "decide", always_fresh):
        yield


@contextmanager
def _ledger_and_inbox_apart() -> Iterator[None]:
    add = inbox.add_batches

    def hasty(connection: Connection, rows: inbox.Rows) -> None:
        add(connection, rows)
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with patch.object(inbox, "add_batches", hasty):
        yield


@contextmanager
def _refused_batch_acknowledged() -> Iterator[None]:
    shown = Receiver._shown

    def generous(self: Receiver, incarnation: bytes, stream: str, account: Account) -> messages.Account:
        told = shown(self, incarnation, stream, account)
        return msgspec.structs.replace(told, stored=upto(account.head).to_wire())

    with patch.object(Receiver, "_shown", generous):
        yield


def _ended_lives_forgotten() -> AbstractContextManager[Any]:
    """As agents did, until a hub that was restored from an old backup had nobody left to tell it of them."""
    return patch.object(expiry, "MAX_FINISHED_STREAMS", 0)


BUGS: Final = (
    Bug(
        "acknowledged before the commit",
        _acknowledged_before_the_commit,
        ("agent dies", "agent's disk full"),
        shown_by=2,
    ),
    Bug("a timeout taken for success, and the batch deleted", _timeout_taken_for_success_and_deleted),
    Bug("sequences used again after a restore", _sequences_used_again, ("agent restored", "agent cloned"), shown_by=22),
    Bug("given up without a receipt", _given_up_without_a_receipt, ("buffer full",), shown_by=40),
    Bug(
        "the receipt in a later transaction than the deletion",
        _receipt_in_a_later_transaction,
        always=("buffer full", "agent dies"),
        shown_by=5,
    ),
    Bug("the head of a stream is not claimed", _head_not_claimed, shown_by=36),
    Bug("the cursor moved by the agent's own belief", _cursor_by_own_belief, shown_by=25),
    Bug("a resend with other bytes", _resent_with_other_bytes, ("bad weather", "partition")),
    Bug("the tail of an earlier life forgotten", _tail_of_an_earlier_life_forgotten, ("agent dies",)),
    Bug(
        "a dictionary in memory only",
        _dictionary_in_memory_only,
        ("agent's disk full", "agent's disk errors"),
        shown_by=111,
    ),
    Bug(
        "another's records taken for its own",
        _anothers_records_taken_for_its_own,
        ("snapshot resumed twice",),
        shown_by=192,
    ),
    Bug("an order that was replayed is done", _order_replayed),
    Bug("settings are rolled back in words only", _rolled_back_in_words_only, shown_by=6),
    Bug("archived although a backup lacks it", _archived_while_backups_are_older, ("hub restored",), shown_by=25),
    Bug("nothing is a duplicate", _nothing_is_a_duplicate),
    Bug(
        "ledger and inbox in two transactions",
        _ledger_and_inbox_apart,
        ("hub dies", "hub's disk errors", "hub's disk full"),
        shown_by=15,
    ),
    Bug("lives that have ended forgotten", _ended_lives_forgotten, always=OLD_BACKUPS, shown_by=5),
    Bug("a refused batch acknowledged", _refused_batch_acknowledged, ("hub restored",), shown_by=25),
)


# ----------------------------------------------------------------- healed by design


@contextmanager
def _old_answers_applied() -> Iterator[None]:
    """An answer that was overtaken is applied: the next one puts it right."""

    def gullible(_answer: object, life: object) -> str:
        return "" if life else "unknown"

    with patch.object(settling, "why_ignored", gullible):
        yield


HEALED: Final = (Bug("answers that were overtaken are applied", _old_answers_applied, ("bad weather",)),)


def seeds_for(bug: Bug, kinds_of: Callable[[int], Sequence[str]], count: int) -> Iterator[int]:
    """The first `count` seeds without those that cannot show the bug, the likeliest first."""
    can_show: Callable[[int], bool] = partial(_has_any, bug, kinds_of)
    yield from filter(can_show, sorted(range(count), key=lambda seed: seed != bug.shown_by))


def _has_any(bug: Bug, kinds_of: Callable[[int], Sequence[str]], seed: int) -> bool:
    return not bug.kinds or not set(bug.kinds).isdisjoint(kinds_of(seed))
