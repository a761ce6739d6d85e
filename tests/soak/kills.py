"""The loop: a thread for every process strikes it while records arrive at all doors; then everything is counted."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.acceptance.hub import Hub
from tests.acceptance.producing import load_on
from tests.acceptance.settled import drain, faults
from tests.acceptance.site import Site
from tests.soak.plan import draw_strike
from tests.soak.victim import Victim

_LONGEST_AGENT_START_S: Final = 0.7
_LONGEST_HUB_START_S: Final = 1.6
_PRODUCERS: Final = 2
_PAUSE_S: Final = 0.1
_FILES_EVERY_S: Final = 0.5
_PORTION: Final = 15
_POLL_S: Final = 0.2


@dataclass
class Soak:
    """A hub and sites under fire.

    Args:
        hub: initialised; `begin` starts it.
        sites: they join in `begin`.
        chance: every moment and every victim is drawn from it.

    Attributes:
        struck_s: how many seconds they were under fire.
    """

    hub: Hub
    sites: Sequence[Site]
    chance: random.Random
    struck_s: float = 0.0

    def __post_init__(self) -> None:
        # For the whole soak: a daemon dies with the thread that has started it.
        self._pool = ThreadPoolExecutor(1 + len(self.sites))
        self._hub = Victim("hub", self.hub.daemon, self.hub.until_ready)
        self._agents = [Victim(site.name, site.daemon, site.until_open) for site in self.sites]

    @property
    def victims(self) -> list[Victim]:
        return [self._hub, *self._agents]

    @property
    def kills(self) -> int:
        return sum(victim.kills for victim in self.victims)

    def begin(self) -> None:
        """Start everything."""
        self._pool.submit(self._hub.revive).result()
        for site, agent in zip(self.sites, self._agents, strict=True):
            site.join(self.hub)
            self._pool.submit(agent.revive).result()

    def strike_until(self, kills: int, tell: Callable[[], None]) -> None:
        """Strike at random under load until there were so many kills in all; everything runs again afterwards.

        Raises:
            AssertionError: a process has ended by itself, or does not become ready.
        """
        over, began = threading.Event(), time.monotonic()
        load = load_on(*self.sites, producers=_PRODUCERS, pause_s=_PAUSE_S)
        with load, _files_for(self.sites, self.chance):
            chances = [random.Random(self.chance.getrandbits(64)) for _ in self.victims]
            working = [self._pool.submit(self._strike, *each, over) for each in zip(self.victims, chances, strict=True)]
            while self.kills < kills and not any(each.done() for each in working):
                time.sleep(_POLL_S)
                tell()
            over.set()
            for each in working:
                each.result()
            self.struck_s += time.monotonic() - began

    def close(self) -> None:
        """Kill everything."""
        for victim in self.victims:
            victim.daemon.kill()
        self._pool.shutdown()

    def settle(self) -> list[str]:
        """Let everything arrive; what is wrong then, in words."""
        for site in self.sites:
            drain(self.hub, site)
        found = [f"{site.name}: {fault}" for site in self.sites for fault in faults(self.hub, site)]
        checked = self.hub.run("completeness", "--check")
        return found if checked.code == 0 else [*found, f"completeness --check: {checked.out}"]

    def _strike(self, victim: Victim, chance: random.Random, over: threading.Event) -> None:
        is_hub = victim is self._hub
        longest_start_s = _LONGEST_HUB_START_S if is_hub else _LONGEST_AGENT_START_S
        while not over.is_set():
            strike = draw_strike(chance, longest_start_s=longest_start_s, is_hub=is_hub)
            with victim.lock:
                if strike.together:
                    self._strike_together(victim, chance.choice(self._agents), strike.life_s, chance)
                else:
                    victim.suffer(strike)
                    victim.revive()

    @staticmethod
    def _strike_together(hub: Victim, agent: Victim, life_s: float, chance: random.Random) -> None:
        with agent.lock:
            time.sleep(life_s)
            both = [hub, agent]
            for each in chance.sample(both, 2):
                each.kill()
            for each in chance.sample(both, 2):
                each.revive()


@contextmanager
def _files_for(sites: Sequence[Site], chance: random.Random) -> Iterator[None]:
    """Files are dropped and a log grows at every site while the body runs."""
    over = threading.Event()

    def feed() -> None:
        while not over.wait(_FILES_EVERY_S):
            for site in sites:
                site.drop_file(1 + own.randrange(_PORTION))
                site.log_lines(1 + own.randrange(_PORTION))

    own = random.Random(chance.getrandbits(64))
    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
