"""What to do next, and why. Pure: everything it looks at is in `View`.

The buffer gives the batches in the order of sending; the planner takes them from the front, never past one that does
not fit, so that the batches of a stream go out in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from farshore_agent.buffer.model import OutboxBatch
from farshore_agent.forward.breaker import Breaker
from farshore_agent.forward.outlook import Outlook
from farshore_agent.settings import ForwardSettings
from farshore_protocol.limits import MAX_PARCEL_ATTACHMENTS, MAX_PARCEL_BATCHES
from farshore_protocol.urgency import DEFAULT_PRIORITY, Behind, Urgency

MAX_BATCHES: Final = MAX_PARCEL_BATCHES - MAX_PARCEL_ATTACHMENTS
"""Records' batches of one parcel; dictionaries take some of the places."""

MAX_EPOCHS: Final = MAX_PARCEL_ATTACHMENTS // 2
"""Different epochs, and different dictionaries, that the batches of one parcel may need."""


@dataclass(frozen=True, slots=True)
class View:
    """What the decision rests on: the moment (monotonic), the front of the outbox, the link, whether there is news.

    News is a report that the hub does not have, or somebody here who wants to know whether the hub answers.
    """

    now_s: float
    batches: Sequence[OutboxBatch]
    outlook: Outlook
    has_news: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Send a parcel with these batches, perhaps none, and a statement. `behind` is what comes after it."""

    batches: tuple[OutboxBatch, ...]
    whole: bool
    timeout_s: float
    why: str
    behind: Behind | None = None

    @property
    def urgency(self) -> Urgency:
        """What the hub is told of it beforehand. A statement alone is as urgent as most."""
        priority = max((batch.priority for batch in self.batches), default=DEFAULT_PRIORITY)
        return Urgency(priority, self.behind)


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so long, unless there is news."""

    seconds: float
    why: str


Step = Send | Wait


def decide(view: View, settings: ForwardSettings) -> Step:
    """The next step."""
    outlook = view.outlook
    timeout_s = settings.timeout_s * outlook.pace.patience
    if view.now_s < outlook.resume_s:
        return _ahead_of_time(view, timeout_s) or Wait(outlook.resume_s - view.now_s, outlook.resume_why)
    if outlook.breaker is not Breaker.CLOSED:
        why = "the link was down: one small parcel to try it"
        return Send((), whole=False, timeout_s=settings.timeout_s, why=why, behind=_behind(view, ()))
    if outlook.suspects.accused:
        return Send((), whole=False, timeout_s=timeout_s, why="the hub failed at a batch: is it well without it?")
    return _next_batches(view, timeout_s) or _nothing_waits(view, timeout_s)


def _ahead_of_time(view: View, timeout_s: float) -> Send | None:
    """What is more urgent than what the hub has put off. After a failure there is nothing so urgent."""
    waiting = view.outlook.suspects.others(view.batches)
    urgent = [batch for batch in waiting if batch.priority > view.outlook.resume_priority]
    if not urgent or view.outlook.breaker is not Breaker.CLOSED:
        return None
    chosen = fill(urgent, view.outlook.limit_bytes)
    why = f"{len(chosen)} batch(es) of priority {chosen[0].priority}, ahead of what the hub has put off"
    return Send(chosen, whole=False, timeout_s=timeout_s, why=why, behind=_behind(view, chosen))


def _behind(view: View, gone: Sequence[OutboxBatch]) -> Behind | None:
    """What the parcel after this one will be; the most urgent batches come first."""
    ids = {batch.id for batch in gone}
    left = [batch for batch in view.outlook.suspects.others(view.batches) if batch.id not in ids]
    size = sum(batch.size for batch in fill(left, view.outlook.limit_bytes))
    return Behind(left[0].priority, size) if left else None


def _next_batches(view: View, timeout_s: float) -> Send | None:
    suspects, whole_why = view.outlook.suspects, _why_whole(view)
    if retried := suspects.retried(view.batches, view.now_s):
        return Send((retried,), whole=False, timeout_s=timeout_s, why="a batch that was set aside is tried again")
    if waiting := suspects.others(view.batches):
        chosen = fill(waiting[: suspects.at_most], view.outlook.limit_bytes)
        why = _why_these(view, chosen, whole_why)
        return Send(chosen, bool(whole_why), timeout_s, why, _behind(view, chosen))
    return None


def _nothing_waits(view: View, timeout_s: float) -> Step:
    outlook, whole_why = view.outlook, _why_whole(view)
    if whole_why:
        return Send((), whole=True, timeout_s=timeout_s, why=f"a whole statement: {whole_why}")
    if view.has_news:
        return Send((), whole=False, timeout_s=timeout_s, why="a new report on the hub's orders, or a question")
    if view.now_s >= outlook.heartbeat_s:
        return Send((), whole=False, timeout_s=timeout_s, why="a heartbeat: there was no exchange for a while")
    retry_s = outlook.suspects.next_s(view.batches)
    if retry_s is not None and retry_s < outlook.heartbeat_s:
        return Wait(retry_s - view.now_s, "nothing waits but what was set aside")
    return Wait(outlook.heartbeat_s - view.now_s, "nothing waits to be sent")


def fill(batches: Sequence[OutboxBatch], limit_bytes: int) -> tuple[OutboxBatch, ...]:
    """As many batches from the front as fit into one parcel, and at least one."""
    chosen: list[OutboxBatch] = []
    epochs: set[bytes] = set()
    dictionaries: set[bytes | None] = set()
    size = 0
    for batch in batches[:MAX_BATCHES]:
        size += batch.size
        epochs.add(batch.epoch)
        dictionaries.add(batch.dictionary)
        if chosen and (size > limit_bytes or len(epochs) > MAX_EPOCHS or len(dictionaries) > MAX_EPOCHS):
            break
        chosen.append(batch)
    return tuple(chosen)


def _why_whole(view: View) -> str:
    if view.outlook.whole_why:
        return view.outlook.whole_why
    return "the last one was a while ago" if view.now_s >= view.outlook.whole_s else ""


def _why_these(view: View, chosen: Sequence[OutboxBatch], whole_why: str) -> str:
    size, more = sum(batch.size for batch in chosen), len(view.batches) - len(chosen)
    why = f"{len(chosen)} batch(es), {size} bytes, from priority {chosen[0].priority}; {more} more seen"
    return f"{why}; with a whole statement: {whole_why}" if whole_why else why
