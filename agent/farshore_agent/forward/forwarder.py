"""The forwarder: look at the outbox, decide, exchange, settle; for ever. The decisions are the planner's.

It never dies: what goes wrong is logged, counted, shown, and tried again after a pause. While a parcel is on its way,
the batches of the next one are read. Nothing is ever given up here: what the hub does not take stays in the buffer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from farshore_agent.buffer import Buffer, OutboxBatch, Settled
from farshore_agent.errors import AgentError
from farshore_agent.forward.bell import Bell
from farshore_agent.forward.courier import Courier, Packed
from farshore_agent.forward.link import Link, LinkBusy, LinkDown, LinkRefused
from farshore_agent.forward.offset import ClockOffset
from farshore_agent.forward.outlook import Delivery, Failed, Failure, Outlook, delivered, failed
from farshore_agent.forward.planner import MAX_BATCHES, Send, View, Wait, decide, fill
from farshore_agent.forward.report import LinkReport, SetAside
from farshore_agent.settings import ForwardSettings
from farshore_protocol.errors import ProtocolError
from farshore_protocol.limits import MAX_BATCH_BYTES
from farshore_protocol.messages import Answer
from farshore_protocol.ports import Clock, Random
from farshore_protocol.urgency import DEFAULT_PRIORITY, FIRST_PRIORITY

_LOG: Final = logging.getLogger(__name__)
_UNAUTHORISED: Final = 401
_TOO_LARGE: Final = 413


_ABOUT_WHO_ASKS: Final = frozenset({401, 403, 404, 405, 415, 426, 431})
"""Refusals that do not depend on what a parcel carries."""

_MAY_BE_THE_REPORT: Final = frozenset({Failed.NOT_TAKEN, Failed.TOO_LARGE, Failed.TIMED_OUT})
_REPORT_PAUSE_S: Final = 600.0


class BadAnswer(AgentError):
    """The answer cannot be used, so nothing is known about the parcel."""

    title = "the hub's answer cannot be used"


class NothingTaken(BadAnswer):
    """The hub answered, and neither has nor refuses any of the batches."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What only others can do for the forwarder.

    Attributes:
        renew: the hub does not know the certificate, or signs with a key that is not known here.
        doubt: there is no answer; True: because who is there is not trusted.
        new_epoch: somebody else seals under this epoch (a cloned machine): begin another one.
        delivered: something was acknowledged.
        linked: the link is up, and was not before.
    """

    renew: Callable[[str], None]
    doubt: Callable[[str, bool], None]
    new_epoch: Callable[[], Awaitable[None]]
    delivered: Callable[[], None]
    linked: Callable[[], None]


class Forwarder:
    """Forwards one buffer over one link. `report` shows what it does."""

    def __init__(
        self,
        *,
        buffer: Buffer,
        link: Link,
        courier: Courier,
        settings: ForwardSettings,
        clock: Clock,
        random: Random,
        report: LinkReport,
        outside: Outside,
    ) -> None:
        self._buffer = buffer
        self._link = link
        self._courier = courier
        self._settings = settings
        self._clock = clock
        self._random = random
        self._outside = outside
        self._bell = Bell()
        self._is_asked = False
        self._outlook = Outlook(ceiling_bytes=settings.max_parcel_bytes)
        self.report = report

    @property
    def link_up(self) -> bool:
        """Whether the last exchange succeeded."""
        return self._outlook.link_up

    def wake(self) -> None:
        """There is something new to send."""
        self._bell.ring()

    def ask_hub(self) -> None:
        """Somebody wants to know whether the hub answers: have an exchange soon, whatever there is to send."""
        self._is_asked = True
        self._bell.ring()

    async def run(self) -> NoReturn:
        """Forward until cancelled."""
        await self._clock.sleep(self._random.uniform(0, self._settings.spread_start_s))
        while True:
            await self.turn()

    async def turn(self) -> None:
        """One step, whatever becomes of it."""
        packed: Packed | None = None
        try:
            await self._renew_epoch()
            step = await self._decide()
            self.report.doing = step.why
            if isinstance(step, Wait):
                await self._bell.sleep(self._clock, step.seconds)
                return
            _LOG.debug("sending: %s", step.why)
            packed = await self._pack(step)
            await self._exchange(packed, step)
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on after a pause
            self._note_failure(error, packed)
            if packed is None:
                # Nothing was sent: it is the buffer that has failed, and the next turn would ask it again at once.
                await self._clock.sleep(self._outlook.resume_s - self._clock.monotonic_s())

    async def _renew_epoch(self) -> None:
        """After a fork nothing is sealed before there is a fresh key, whatever has come in between."""
        if self._buffer.needs_epoch:
            await self._outside.new_epoch()

    async def last_words(self, within_s: float) -> None:
        """Seal the rest and make one last exchange, if the link is up and the hub did not ask for a pause."""
        if self.link_up and self._clock.monotonic_s() >= self._outlook.resume_s:
            await self._buffer.seal_due(link_up=True, flush=True)
            batches = await self._look()
            step = Send(
                fill(self._outlook.suspects.others(batches), self._outlook.limit_bytes),
                whole=False,
                timeout_s=within_s,
                why="stopping",
            )
            await self._exchange(await self._pack(step), step)

    async def _look(self) -> list[OutboxBatch]:
        """What the next parcel may be made of, and what comes after it; what was set aside takes no place in it."""
        beside = len(self._outlook.suspects.aside)
        max_bytes = self._outlook.limit_bytes + (1 + beside) * MAX_BATCH_BYTES
        return await self._buffer.waiting(max_bytes=max_bytes, max_batches=MAX_BATCHES + beside)

    async def _decide(self) -> Send | Wait:
        batches = await self._look()
        view = View(
            self._clock.monotonic_s(), batches, self._outlook, has_news=self._courier.has_news or self._is_asked
        )
        return decide(view, self._settings)

    async def _pack(self, step: Send) -> Packed:
        return await self._courier.pack(step.batches, whole=step.whole, max_bytes=self._outlook.room_bytes)

    async def _exchange(self, packed: Packed, step: Send) -> None:
        self._outlook = self._outlook.sending()
        began_us, began_s = self._clock.now_us(), self._clock.monotonic_s()
        raw = await self._while_reading_ahead(self._ask(packed, step), packed)
        took_s = self._clock.monotonic_s() - began_s
        answer, settled = await self._courier.settle(raw)
        self._check(packed, answer, settled)
        self._note_answer(packed, answer, settled, took_s, step.behind.priority if step.behind else None)
        self._note_time(answer, began_us, took_s)
        if settled.forked:
            _LOG.error("another process has used this agent's sequences: is the machine a clone? A new life begins")
            await self._renew_epoch()

    async def _ask(self, packed: Packed, step: Send) -> bytes:
        return await self._link.exchange(packed.raw, urgency=step.urgency, timeout_s=step.timeout_s)

    async def _while_reading_ahead(self, exchange: Awaitable[bytes], packed: Packed) -> bytes:
        under_way = asyncio.ensure_future(exchange)
        try:
            if packed.batches:
                await self._read_ahead(packed)
            return await under_way
        finally:
            if not under_way.done():
                under_way.cancel()
                await asyncio.wait((under_way,))

    async def _read_ahead(self, packed: Packed) -> None:
        on_their_way = {batch.id for batch in packed.batches}
        size = sum(batch.size for batch in packed.batches)
        front = await self._buffer.waiting(max_bytes=size + self._outlook.limit_bytes, max_batches=MAX_BATCHES)
        after = [batch for batch in front if batch.id not in on_their_way]
        if after:
            await self._courier.read_ahead(fill(after, self._outlook.limit_bytes))

    def _check(self, packed: Packed, answer: Answer, settled: Settled) -> None:
        if (answer.incarnation, answer.number) != (packed.incarnation, packed.number):
            raise BadAnswer(f"the hub answered statement {answer.number}, not {packed.number}")
        if settled.ignored:
            raise BadAnswer(f"the hub's answer was not applied: {settled.ignored}")
        if packed.batches and not (settled.acknowledged_batches or settled.refused or settled.forked):
            raise NothingTaken("the hub answered, and acknowledges nothing of what was sent")

    def _note_answer(self, packed: Packed, answer: Answer, settled: Settled, took_s: float, behind: int | None) -> None:
        delivery = Delivery(
            sent_bytes=len(packed.raw),
            took_s=took_s,
            was_whole=packed.whole,
            whole_why="the hub is another one, or was started again" if settled.needs_whole else "",
            max_parcel_bytes=answer.max_parcel_bytes,
            pause_ms=answer.pause_ms,
            batches=_digests(packed),
            behind=behind,
        )
        was_up = self.link_up
        self._outlook = delivered(self._outlook, delivery, self._clock.monotonic_s(), self._settings)
        if not was_up:
            _LOG.info("the link to %s is up", self._link.address)
            self._outside.linked()
        self._count(packed, answer, settled)
        self._show(error="", remedy="")
        if settled.acknowledged_batches:
            self._outside.delivered()

    def _count(self, packed: Packed, answer: Answer, settled: Settled) -> None:
        self._is_asked = False
        report = self.report
        report.exchanges["answered"] += 1
        report.sent_parcels += 1
        report.sent_bytes += len(packed.raw)
        report.acknowledged_batches += settled.acknowledged_batches
        report.acknowledged_records += settled.acknowledged_records
        report.returned_batches += settled.returned_batches
        if settled.returned_batches:
            _LOG.warning("the hub no longer has %d batch(es) that it had; sending again", settled.returned_batches)
        for refusal in answer.refusals:
            report.refusals[refusal.reason.value] += 1
            _LOG.warning("the hub did not take batch %s: %s", refusal.digest.hex(), refusal.detail or refusal.reason)

    def _note_time(self, answer: Answer, began_us: int, took_s: float) -> None:
        measured = ClockOffset.measured(began_us, round(took_s * 1_000_000), answer.at_us)
        self.report.last_answer_us = self._clock.now_us()
        self.report.offset = self.report.offset.or_newer(measured) if self.report.offset else measured

    def _note_failure(self, error: Exception, packed: Packed | None) -> None:
        what = failure_of(error, packed)
        was_up = self.link_up
        jitter = self._random.uniform(0, 1)
        self._outlook = failed(self._outlook, what, self._clock.monotonic_s(), jitter, self._settings)
        self.report.exchanges[what.kind.value] += 1
        if packed and packed.has_report and what.kind in _MAY_BE_THE_REPORT:
            self._courier.leave_report_out(_REPORT_PAUSE_S)
        self._show(error=what.why, remedy=getattr(error, "remedy", ""))
        if what.kind is Failed.OURS:
            _LOG.error("forwarding failed; trying again", exc_info=error)
        else:
            _LOG.log(logging.WARNING if was_up else logging.INFO, "%s", self._outlook.resume_why)
        if _needs_renewal(error):
            self._outside.renew(what.why)
        elif isinstance(error, LinkDown):
            self._outside.doubt(what.why, error.untrusted)

    def _show(self, *, error: str, remedy: str) -> None:
        report, outlook = self.report, self._outlook
        report.up, report.state, report.failures = outlook.link_up, outlook.breaker.value, outlook.failures
        report.last_error, report.last_remedy, report.address = error, remedy, self._link.address
        report.limit_bytes, report.rate_bytes_s = self._outlook.limit_bytes, outlook.pace.rate_bytes_s
        now_s = self._clock.monotonic_s()
        report.set_aside = [
            SetAside(digest.hex(), each.why, each.tries, max(0.0, each.until_s - now_s))
            for digest, each in outlook.suspects.aside.items()
        ]


def failure_of(error: Exception, packed: Packed | None) -> Failure:
    """What an error means for the link."""
    retry_after_s = error.retry_after_s if isinstance(error, LinkBusy) else None
    why = str(error) or type(error).__name__
    sent_bytes = len(packed.raw) if packed else 0
    priority = max((batch.priority for batch in packed.batches), default=DEFAULT_PRIORITY) if packed else FIRST_PRIORITY
    return Failure(_kind_of(error), why, sent_bytes, _digests(packed), retry_after_s, priority)


def _kind_of(error: Exception) -> Failed:
    if isinstance(error, LinkRefused):
        return _kind_of_status(error.problem.status)
    if isinstance(error, LinkDown) and error.timed_out:
        return Failed.TIMED_OUT
    return next((kind for known, kind in _KINDS if isinstance(error, known)), Failed.OURS)


def _kind_of_status(status: int) -> Failed:
    if status == _TOO_LARGE:
        return Failed.TOO_LARGE
    return Failed.REFUSED if status in _ABOUT_WHO_ASKS else Failed.NOT_TAKEN


_KINDS: Final[tuple[tuple[type[Exception], Failed], ...]] = (
    (LinkDown, Failed.DOWN),
    (LinkBusy, Failed.BUSY),
    (NothingTaken, Failed.NOT_TAKEN),
    (BadAnswer, Failed.BAD_ANSWER),
    (ProtocolError, Failed.BAD_ANSWER),
)


def _digests(packed: Packed | None) -> tuple[bytes, ...]:
    return tuple(batch.digest for batch in packed.batches) if packed else ()


def _needs_renewal(error: Exception) -> bool:
    if isinstance(error, LinkRefused):
        return error.problem.status == _UNAUTHORISED
    return isinstance(error, ProtocolError)
