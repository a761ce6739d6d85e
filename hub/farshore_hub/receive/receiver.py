"""Receives parcels: verify beside the loop, commit, answer after the commit.

Both are done in groups: everything that arrives while a commit runs goes into the next one, so that one fsync serves
many sites. What waits is bounded; over the bound a caller is told when to come back.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from farshore_hub.errors import Busy, SiteRevoked
from farshore_hub.ledger.account import Account, watermark
from farshore_hub.ledger.verdict import Fate
from farshore_hub.receive.admission import Admission, Asked
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.receive.posting import Outcome, post
from farshore_hub.receive.quota import PAUSE_S, SMALL_PARCEL_BYTES, Quota
from farshore_hub.receive.verify import BroughtParcel, VerifiedParcel, Verifier
from farshore_hub.store.engine import writing
from farshore_hub.work.groups import GroupBounds, Groups, Outcomes
from farshore_protocol import messages
from farshore_protocol.limits import MAX_PARCEL_BYTES, MIB
from farshore_protocol.messages import Answer, short
from farshore_protocol.parcel import pack_answer
from farshore_protocol.ports import Clock, Random, Runner

COMMITTED: Final = GroupBounds(members=64, size=32 * MIB)
"""Parcels of one transaction."""

VERIFIED: Final = GroupBounds(members=32, size=1 * MIB, at_once=2)
"""Parcels that are verified together. A large one has a thread to itself, and the small ones go past it."""

_MS: Final = 1_000
BY_FILE: Final = "(files)"
"""Parcels that come as files are admitted under this name; no site has it."""

ArchivedUpto = Callable[[Account], int]
"""Up to which sequence of an account every backup of the hub has everything."""


def never_archived(_account: Account) -> int:
    """For a hub that may be restored from any backup: sites keep what fits."""
    return 0


def archived_in_backups(account: Account) -> int:
    """For a hub that is restored only from backups that it keeps itself."""
    return account.archived


def archived_when_stored(account: Account) -> int:
    """For a hub that is never restored from a backup."""
    return watermark(account)


ARCHIVED: Final = {"never": never_archived, "backup": archived_in_backups, "stored": archived_when_stored}
"""By the setting `retention.archive`."""


@dataclass(slots=True)
class Tally:
    """What was received since the start; for metrics."""

    parcels: int = 0
    records: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    over_quota: int = 0
    reports: int = 0
    commits: int = 0
    commit_s: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))


class Receiver:
    """The hub's end of every link.

    Attributes:
        life: this start of the hub, 8 random bytes.
        tally: what was received since then.
        admission: which parcels are taken now.
        quota: how much of one site is kept.
        broker: HOST:PORT of the MQTT broker, which sites are told; empty where there is none.
    """

    def __init__(
        self,
        engine: Engine,
        keys: ReceivingKeys,
        opener: BatchOpener,
        *,
        clock: Clock,
        random: Random,
        verify_on: Runner,
        commit_on: Runner,
        archived: ArchivedUpto = never_archived,
    ) -> None:
        self.life = random.token(8)
        self.tally = Tally()
        self._engine = engine
        self._keys = keys
        self._verifier = Verifier(engine, keys, opener)
        self.quota = Quota(engine, clock)
        self._clock = clock
        self._verify_on = verify_on
        self._commit_on = commit_on
        self._archived = archived
        self.admission = Admission()
        self.broker = ""
        self._verified = Groups(self._verify, VERIFIED)
        self._committed = Groups(self._commit, COMMITTED)

    @contextmanager
    def admitted(self, asked: Asked) -> Iterator[None]:
        """Hold a place for a parcel from before it is read until it is answered.

        Raises:
            Busy: it has to come later, and when.
        """
        wait_s = self.admission.enter(asked, self._clock.monotonic_s())
        if wait_s:
            self.tally.busy += 1
            raise Busy("the hub has as much to do as it takes on", retry_after_s=math.ceil(wait_s))
        try:
            yield
        finally:
            self.admission.leave(asked, self._clock.monotonic_s())

    async def receive(self, raw: bytes, site: str | None, asked: Asked | None = None) -> bytes:
        """Take a parcel and return the signed answer, after everything in it is durable.

        Args:
            raw: the parcel.
            site: the site that the client certificate names; None for a parcel that came as a file.
            asked: as which it was admitted; one that was not is admitted here.

        Raises:
            Busy: too much waits already; says when to come back.
            HubError, ProtocolError: the parcel is not taken; nothing of it was stored.
        """
        if asked is None:
            asked = Asked(site or BY_FILE, len(raw))
            with self.admitted(asked):
                return await self.receive(raw, site, asked)
        parcel = await self._verified(BroughtParcel(raw, site), len(raw))
        outcome = await self._committed(parcel, parcel.size)
        if outcome.revoked:
            raise SiteRevoked(f"site {parcel.site.name} is revoked", remedy="ask the hub's operator")
        self._count(parcel, outcome)
        pause_s = self.admission.pause_after(asked, self._clock.monotonic_s())
        if parcel.over_quota:
            pause_s = max(pause_s, PAUSE_S)
        return self._answer(parcel, outcome, math.ceil(pause_s * _MS))

    async def _verify(self, brought: list[BroughtParcel]) -> Outcomes[VerifiedParcel]:
        return await self._verify_on(lambda: self._verify_now(brought))

    def _verify_now(self, brought: Sequence[BroughtParcel]) -> list[VerifiedParcel | Exception]:
        """Check parcels, and hold those that are what they say against what their site may have here."""
        checked = self._verifier.verify(brought)
        return [each if isinstance(each, Exception) else self.quota.apply(each) for each in checked]

    async def _commit(self, parcels: list[VerifiedParcel]) -> Outcomes[Outcome]:
        began = self._clock.monotonic_s()
        outcomes = await self._commit_on(lambda: self._post_now(parcels))
        self.tally.commits += 1
        self.tally.commit_s.append(self._clock.monotonic_s() - began)
        return outcomes

    def _post_now(self, parcels: Sequence[VerifiedParcel]) -> list[Outcome]:
        with writing(self._engine) as connection:
            return post(connection, parcels, self._clock.now_us())

    def _count(self, parcel: VerifiedParcel, outcome: Outcome) -> None:
        self.tally.parcels += 1
        self.tally.over_quota += parcel.over_quota
        self.tally.reports += parcel.report is not None
        self.tally.records += outcome.records
        self.tally.fates.update(outcome.fates)
        self.tally.refusals.update(refusal.reason.value for refusal in parcel.refusals + outcome.refusals)

    def _answer(self, parcel: VerifiedParcel, outcome: Outcome, pause_ms: int) -> bytes:
        statement = parcel.statement
        answer = Answer(
            hub=self._keys.hub,
            life=self.life,
            at_us=self._clock.now_us(),
            site=statement.site,
            incarnation=statement.incarnation,
            number=statement.number,
            accounts=[self._shown(*named, account) for named, account in outcome.accounts.items()],
            held=[epoch.id for epoch in parcel.epochs] + [name for name, _ in parcel.dictionaries],
            refusals=parcel.refusals + outcome.refusals,
            forked=outcome.forked,
            max_parcel_bytes=SMALL_PARCEL_BYTES if parcel.over_quota else MAX_PARCEL_BYTES,
            pause_ms=pause_ms,
            orders=outcome.orders,
            heard=outcome.heard,
            taken=b"".join(map(short, outcome.taken)),
            broker=self.broker,
        )
        chain = [] if statement.keyring is None else self._keys.chain_after(statement.keyring)
        signer = self._keys.signer
        return pack_answer(answer, signer.id, signer.key, chain)

    def _shown(self, incarnation: bytes, stream: str, account: Account) -> messages.Account:
        return messages.Account(
            incarnation=incarnation,
            stream=stream,
            stored=account.stored.to_wire(),
            receipted=account.receipted.to_wire(),
            archived=self._archived(account),
            wanted=account.wanted.to_wire(),
        )
