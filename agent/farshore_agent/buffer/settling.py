"""Applying an answer of the hub to the buffer, in one transaction; `settle` decides what it means."""

from __future__ import annotations

from collections.abc import Iterable

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.epochs import drop_sealed_under
from farshore_agent.buffer.model import Settled
from farshore_agent.buffer.outbox import drop_batch, give_up_needing
from farshore_agent.buffer.receipts import GivenUp, give_up, lost_part, settle_receipts
from farshore_agent.buffer.settle import Change, LifeView, change_of, needs_holding_back, why_ignored
from farshore_agent.buffer.statement import Said
from farshore_agent.buffer.streams import StreamRow, begin_life, pack_ranges, stream_by_name
from farshore_protocol.messages import Account, Answer, Reason, Refusal, Refused, short
from farshore_protocol.ranges import Range, RangeSet

MAX_DROPPED_BATCHES = 5_000
"""Archived batches that one answer removes; the rest goes with the next ones."""

_ACKNOWLEDGED = 2


class Settlement:
    """One answer being applied; counts what it changes."""

    def __init__(self, database: Database, answer: Answer, said: Said, now_us: int) -> None:
        self._database = database
        self._answer = answer
        self._said = said
        self._now_us = now_us
        self._here = answer.here
        self._unconfirmed: set[bytes] = set()
        self._batches = self._records = self._returned = self._receipts = self._refused = 0

    def apply(self, life: int, fresh_incarnation: bytes) -> Settled:
        """Apply the answer. One that was overtaken only tells what the hub got: parcels travel as files, too.

        Args:
            life: the one that gives out sequences.
            fresh_incarnation: for the life that begins if the present one turns out to have a double.

        Raises:
            Malformed, OverLimit: the answer contradicts itself; nothing was applied.
        """
        with self._database.transaction():
            answered = _life_of(self._database, self._answer.incarnation)
            ignored = why_ignored(self._answer, answered)
            if ignored or answered is None:
                self._apply_late()
                return self._settled(ignored=ignored)
            is_other_hub, needs_whole = self._note_hub()
            self._database.run("note_answer", answered.id, self._answer.number)
            self._confirm(self._answer.held)
            self._note_told(is_another_start=needs_whole)
            for account in self._answer.accounts:
                self._apply_account(account, life)
            for refusal in self._answer.refusals:
                self._refuse(refusal)
            forked = self._forked(life)
            if forked:
                begin_life(self._database, fresh_incarnation, self._now_us)
        return self._settled(needs_whole=needs_whole or is_other_hub or bool(forked), forked=forked)

    def _settled(self, *, ignored: str = "", needs_whole: bool = False, forked: tuple[bytes, ...] = ()) -> Settled:
        return Settled(
            ignored=ignored,
            acknowledged_batches=self._batches,
            acknowledged_records=self._records,
            returned_batches=self._returned,
            receipts=self._receipts,
            needs_whole=needs_whole,
            forked=forked,
            refused=self._refused,
        )

    def _apply_late(self) -> None:
        """What this start of the hub has said that it stored it still has, whatever was said since."""
        note = self._database.row("note", "hub")
        if note is None or note[0] != self._answer.hub + self._answer.life:
            return
        for account in self._answer.accounts:
            row = stream_by_name(self._database, account.incarnation, account.stream)
            if row is not None:
                change = change_of(account, row.head, row.acknowledged)
                change = change.late(row.acknowledged, self._proven(row, change.gained))
                self._database.run("set_account", row.id, pack_ranges(change.acknowledged), row.archived)
                self._acknowledge(row, change)

    def _note_hub(self) -> tuple[bool, bool]:
        """Remember the hub and its life; whether each is another one than before."""
        before = self._database.row("note", "hub")
        now = self._answer.hub + self._answer.life
        if before is None or before[0] != now:
            self._database.run("set_note", "hub", now)
        if before is None:
            return False, False
        if before[0] != now:
            self._database.run("reopen_closing")
        is_other_hub = before[0][:8] != self._answer.hub
        if is_other_hub:
            self._database.run("unconfirm_epochs")
            self._database.run("unconfirm_dictionaries")
        return is_other_hub, before[0] != now

    def _note_told(self, *, is_another_start: bool) -> None:
        """What this statement told by the hour the hub knows now; of the rest, after another start, nobody knows."""
        if is_another_start:
            self._database.run("untell_hours")
        for stream, hour, count in self._said:
            self._database.run("tell_hour", stream, hour, count)

    def _confirm(self, held: Iterable[bytes]) -> None:
        for name in held:
            self._database.run("confirm_epoch", name, 1)
            self._database.run("confirm_dictionary", name, 1)

    def _apply_account(self, account: Account, life: int) -> None:
        row = stream_by_name(self._database, account.incarnation, account.stream)
        if row is None:
            return
        change = change_of(account, row.head, row.acknowledged)
        change = change.without(self._unproven(row, change.gained)) if change.gained else change
        self._database.run("set_account", row.id, pack_ranges(change.acknowledged), change.archived)
        self._acknowledge(row, change)
        self._take_back(row, change)
        settle_receipts(self._database, row.id, change.at_hub, change.archived, self._now_us)
        for (batch,) in self._database.rows("archived_batches", row.id, change.archived, MAX_DROPPED_BATCHES):
            drop_batch(self._database, batch)
        if row.life != life and row.closing_number is not None and self._answers(row.closing_number, life):
            self._database.run("mark_closed", row.id)

    def _acknowledge(self, row: StreamRow, change: Change) -> None:
        for batch, first, last, state, _ in self._touching(row, change.gained):
            if state != _ACKNOWLEDGED and change.acknowledged.covers(first, last):
                self._database.run("acknowledge_batch", batch, self._now_us)
                self._batches += 1
                self._records += last - first + 1

    def _take_back(self, row: StreamRow, change: Change) -> None:
        for batch, _, _, state, _ in self._touching(row, change.lost):
            if state == _ACKNOWLEDGED:
                self._database.run("return_batch", batch)
                self._returned += 1
        missing = lost_part(self._database, row, change.lost) if change.lost else change.lost
        why = GivenUp(Reason.UNRETAINED, self._now_us, "the hub lost it, and it is no longer kept here")
        self._receipts += give_up(self._database, row.id, missing, why)

    def _unproven(self, row: StreamRow, gained: RangeSet) -> RangeSet:
        """What of these sequences is held here, sealed or not, and the answer does not say that the hub has it."""
        chunks = [found for span in gained for found in self._database.rows("chunks_over", row.id, *span)]
        if self._here is None:
            return RangeSet.of(*chunks)
        touching = self._touching(row, gained)
        batches = ((first, last) for _, first, last, _, digest in touching if short(digest) not in self._here)
        return RangeSet.of(*batches, *chunks)

    def _proven(self, row: StreamRow, gained: RangeSet) -> RangeSet:
        """What of these sequences is held here, and the answer says that the hub has it."""
        here = self._here or frozenset()
        touching = self._touching(row, gained)
        return RangeSet.of(*((first, last) for _, first, last, _, digest in touching if short(digest) in here))

    def _touching(self, row: StreamRow, ranges: RangeSet) -> list[tuple[int, int, int, int, bytes]]:
        return [each for span in ranges for each in self._over(row, span)]

    def _over(self, row: StreamRow, span: Range) -> list[tuple[int, int, int, int, bytes]]:
        rows = self._database.rows("batches_over", row.id, *span)
        return [each for each in rows if each[1] <= span[1]]

    def _answers(self, number: int, life: int) -> bool:
        newest = self._database.the_row("newest_life")
        return newest[0] == life and newest[1] == self._answer.incarnation and self._answer.number >= number

    def _refuse(self, refusal: Refusal) -> None:
        why = f"{refusal.reason.value}: {refusal.detail}"
        found = self._database.row("batch_by_digest", refusal.digest)
        dictionary = self._database.row("dictionary_by_digest", refusal.digest)
        if found is None and dictionary is None:
            # It refuses what was never here, so it says nothing about what was sent.
            return
        self._refused += 1
        if self._is_given_up(refusal, found):
            return
        was_confirmed = self._unconfirm(refusal, found or dictionary)
        if not needs_holding_back(refusal, was_confirmed=was_confirmed):
            return
        if found:
            self._database.run("hold_back", found[0], why)
        elif dictionary:
            self._database.run("hold_back_dictionary", dictionary[0], why)

    def _is_given_up(self, refusal: Refusal, found: tuple[int | bytes, bytes] | None) -> bool:
        """Give up what lacks a key or dictionary that the hub does not have and this buffer has lost to damage."""
        epoch = refusal.missing or (found[1] if found else None)
        if refusal.reason is Refused.UNKNOWN_EPOCH and epoch and not self._has("epoch", "epoch_copy", name=epoch):
            drop_sealed_under(self._database, epoch, self._now_us)
            return True
        dictionary = refusal.missing
        if refusal.reason is Refused.UNKNOWN_DICTIONARY and dictionary and not self._has("dictionary", name=dictionary):
            give_up_needing(self._database, dictionary, self._now_us)
            return True
        return False

    def _has(self, *queries: str, name: bytes) -> bool:
        return any(self._database.row(query, name) for query in queries)

    def _unconfirm(self, refusal: Refusal, found: tuple[int | bytes, bytes] | None) -> bool:
        """Note that the hub lacks a key or dictionary; whether it was thought to have it."""
        missing = refusal.missing
        if missing is None and refusal.reason is Refused.UNKNOWN_EPOCH and found:
            missing = found[1]
        if missing is None:
            return False
        changed = self._database.run("confirm_epoch", missing, 0) + self._database.run("confirm_dictionary", missing, 0)
        if changed:
            self._unconfirmed.add(missing)
        return missing in self._unconfirmed

    def _forked(self, life: int) -> tuple[bytes, ...]:
        found = ((digest, self._database.row("batch_by_digest", digest)) for digest in self._answer.forked)
        return tuple(digest for digest, row in found if row and row[2] == life)


def _life_of(database: Database, incarnation: bytes) -> LifeView | None:
    row = database.row("life_of", incarnation)
    return LifeView(row[0], row[1], row[2], row[3] or 0) if row else None
