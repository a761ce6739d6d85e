"""What an answer of the hub changes, decided before anything is touched. Pure.

The agent's cursor is whatever the hub says: what it has is acknowledged, what it had and has no longer is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from farshore_protocol.messages import Account, Answer, Refusal, Refused
from farshore_protocol.ranges import EMPTY, RangeSet, upto

UNKNOWN = (Refused.UNKNOWN_EPOCH, Refused.UNKNOWN_DICTIONARY)
"""Refusals that are cured by sending something along."""


@dataclass(frozen=True, slots=True)
class LifeView:
    """What is known of the life whose statement is answered: the numbers of its last statement and answer."""

    id: int
    stated: int
    answered: int
    newest_answered_life: int


def why_ignored(answer: Answer, life: LifeView | None) -> str:
    """Why an answer must not be applied; empty when it must.

    Answers can overtake one another, and a file on a stick can take weeks: only the newest one says what the hub has.
    """
    if life is None:
        return f"it answers incarnation {answer.incarnation.hex()}, which this buffer never had"
    if life.id < life.newest_answered_life:
        return "a later life of this agent was answered already"
    if answer.number < life.answered:
        return f"statement {life.answered} was answered already, this answers {answer.number}"
    if answer.number > life.stated:
        return f"it answers statement {answer.number}, the last one made here is {life.stated}"
    return ""


@dataclass(frozen=True, slots=True)
class Change:
    """What an account changes of one stream.

    Attributes:
        acknowledged: what the hub has now.
        gained, lost: against what it had.
        at_hub: what it has, receipts included, damaged copies too.
        archived: up to here, every backup has it.
    """

    acknowledged: RangeSet
    gained: RangeSet
    lost: RangeSet
    at_hub: RangeSet
    archived: int

    def without(self, unproven: RangeSet) -> Change:
        """The change where the hub has sequences, and has not said that it has this buffer's records under them.

        Another machine may go on as this one, from a snapshot of its memory, and have used them for records of its own.
        They stay unacknowledged here and are sent: the hub knows them by their content, or sees the fork and keeps
        both.
        """
        return replace(self, acknowledged=self.acknowledged - unproven, gained=self.gained - unproven)

    def late(self, before: RangeSet, proven: RangeSet) -> Change:
        """The change where the answer was overtaken: it says no more than that the hub got what it proves."""
        gained = self.gained & proven
        return replace(self, acknowledged=before | gained, gained=gained, lost=EMPTY)


def change_of(account: Account, head: int, before: RangeSet) -> Change:
    """Read an account of a stream whose last sequence is `head`.

    Raises:
        Malformed, OverLimit: the account's ranges are not in order.
    """
    at_hub = RangeSet.from_wire(account.stored) | RangeSet.from_wire(account.receipted)
    acknowledged = (at_hub - RangeSet.from_wire(account.wanted)) & upto(head)
    return Change(acknowledged, acknowledged - before, before - acknowledged, at_hub, min(account.archived, head))


def needs_holding_back(refusal: Refusal, *, was_confirmed: bool) -> bool:
    """Whether a refused batch has to wait, because sending it again now would end in the same refusal.

    A key or dictionary that the hub once held is sent along again; one that came along and is unknown did not help.
    """
    return refusal.reason not in UNKNOWN or not was_confirmed
