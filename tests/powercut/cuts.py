"""The loop: load, a power cut at a random moment, a boot, and what is there then against what was acknowledged."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from tests.acceptance.commands import until
from tests.acceptance.hub import Hub
from tests.acceptance.producing import load_on
from tests.acceptance.proxy import Proxy
from tests.acceptance.site import READINGS, Site
from tests.acceptance.verdict import Comparison, account_faults
from tests.powercut.disk import Cut
from tests.powercut.hub import BoxedHub
from tests.powercut.machine import Machine
from tests.powercut.site import PATIENCE_S, BoxedSite

_PRODUCERS: Final = 3
_LONGEST_LOAD_S: Final = 15.0
_LONGEST_START_S: Final = 60.0
_POLL_S: Final = 0.01
_PAUSE_S: Final = 0.2
"""Between what a producer hands over for a hub without KVM, which has to keep up."""
_MOST_OPERATIONS: Final = 100
_SHARE_IN_AN_OPERATION: Final = 0.6
_OPERATIONS_OF_A_START: Final = 50
"""Writes and flushes of the disk, from the kernel's mount to the first exchange."""
_SHARE_WHILE_STARTING: Final = 0.2
_SHARE_OFFLINE: Final = 0.4


class Moment(StrEnum):
    """What the machine was doing when the power went."""

    DELIVERING = "delivering"
    OFFLINE = "offline"
    STARTING = "starting"


@dataclass(frozen=True, slots=True)
class Finding:
    """A power cut, or one under load and one in the start after it, and what the next undisturbed start has found.

    Attributes:
        lost: acknowledged records that are gone.
        faults: everything that is wrong, in words.
        sectors: of the disk's cache at the cuts.
    """

    number: int
    moment: Moment
    acknowledged: int
    stored: int
    lost: int
    faults: list[str]
    sectors: Cut


class Boxed(Protocol):
    """An agent or a hub in a machine."""

    machine: Machine

    def kill(self) -> None:
        """Cut the power."""


def draw_moment(chance: random.Random) -> Moment:
    """When the next cut comes."""
    if chance.random() < _SHARE_WHILE_STARTING:
        return Moment.STARTING
    return Moment.OFFLINE if chance.random() < _SHARE_OFFLINE else Moment.DELIVERING


def cut_again_and_again(hub: Hub, site: BoxedSite, link: Proxy, chance: random.Random, cuts: int) -> Iterator[Finding]:
    """Cut the power so often; what was found after each cut. The machine is left running."""
    site.start()
    for number in range(1, cuts + 1):
        moment, before = draw_moment(chance), len(site.machine.cuts)
        _live_until_cut(site, link, chance, moment)
        link.restore()
        site.start()
        _deliver_everything(hub, site)
        yield _look(hub, site, number, moment, site.machine.cuts[before:])


def cut_the_hub_again_and_again(hub: BoxedHub, site: Site, chance: random.Random, cuts: int) -> Iterator[Finding]:
    """The same for a hub in a machine; the site is outside, and forgets what the hub has answered for."""
    hub.start()
    for number in range(1, cuts + 1):
        before = len(hub.machine.cuts)
        moment = Moment.STARTING if chance.random() < _SHARE_WHILE_STARTING else Moment.DELIVERING
        with load_on(site, producers=_PRODUCERS, pause_s=_PAUSE_S):
            _cut(hub, _operations(chance, _MOST_OPERATIONS), after_s=chance.uniform(5, _LONGEST_LOAD_S))
        if moment is Moment.STARTING:
            hub.daemon.start()
            _cut(hub, _operations(chance, _OPERATIONS_OF_A_START), after_s=chance.uniform(3, _LONGEST_START_S))
        hub.start()
        _deliver_everything(hub, site)
        yield _look(hub, site, number, moment, hub.machine.cuts[before:])


def _live_until_cut(site: BoxedSite, link: Proxy, chance: random.Random, moment: Moment) -> None:
    if moment is Moment.OFFLINE:
        link.cut()
    with load_on(site, producers=_PRODUCERS):
        _cut(site, _operations(chance, _MOST_OPERATIONS), after_s=chance.uniform(5, _LONGEST_LOAD_S))
    if moment is Moment.STARTING:
        site.daemon.start()
        _cut(site, _operations(chance, _OPERATIONS_OF_A_START), after_s=chance.uniform(3, _LONGEST_START_S))


def _operations(chance: random.Random, most: int) -> int | None:
    """In the middle of which operation of the disk the power goes; None is at whatever moment."""
    return chance.randrange(most) if chance.random() < _SHARE_IN_AN_OPERATION else None


def _cut(boxed: Boxed, operations: int | None, *, after_s: float) -> None:
    """In the middle of what the disk does, or after a time: whichever comes first."""
    if operations is not None:
        boxed.machine.kill_after(operations)
    give_up_at = time.monotonic() + after_s
    while boxed.machine.has_power and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
    boxed.kill()


def _deliver_everything(hub: Hub, site: Site) -> None:
    """Return when nothing is under way.

    A record that the new life has acknowledged and the hub has stored is the proof that the hub has heard what the
    new life says of the old ones.
    """
    until("the door takes a record", lambda: _takes_a_record(site), deadline_s=PATIENCE_S)

    def is_drained() -> bool:
        site.daemon.check()
        lines = hub.completeness(site.name).values()
        return site.status()["buffer"]["pending"] == 0 and not any(line["pending"] for line in lines)

    until("the site is drained", is_drained, deadline_s=PATIENCE_S)


def _takes_a_record(site: Site) -> bool:
    return site.post(site.supply.readings(1)).status == 200


def _look(hub: Hub, site: Site, number: int, moment: Moment, cuts: Sequence[Cut]) -> Finding:
    stored, acknowledged = hub.stored(site.name, READINGS), site.acknowledged[READINGS]
    found = Comparison.of(stored, acknowledged, site.maybe[READINGS])
    line = hub.completeness(site.name)[READINGS]
    faults = found.faults() + account_faults(line, stored=stored.total(), quarantined=site.refused[READINGS])
    total = acknowledged.total()
    # What one cut has lost is not to be counted again after the next one.
    acknowledged.subtract(found.lost)
    sectors = Cut(survived=sum(cut.survived for cut in cuts), lost=sum(cut.lost for cut in cuts))
    return Finding(number, moment, total, stored.total(), found.lost.total(), faults, sectors)
