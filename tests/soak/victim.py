"""A process that is struck again and again, and what came of it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.acceptance.commands import Daemon
from tests.soak.plan import Strike


@dataclass
class Victim:
    """One process. It runs and is ready whenever nobody strikes it.

    Attributes:
        name: for the report.
        daemon: the process.
        until_ready: returns when it is ready after a start.
        lock: held by whoever strikes it.
        kills: SIGKILLs so far.
        freezes: SIGSTOPs so far.
        starts_s: how long each start took that was not disturbed.
    """

    name: str
    daemon: Daemon
    until_ready: Callable[[], None]
    lock: threading.Lock = field(default_factory=threading.Lock)
    kills: int = 0
    freezes: int = 0
    starts_s: list[float] = field(default_factory=list)

    def suffer(self, strike: Strike) -> None:
        """Everything of a strike up to the kill, and the killed starts after it; `revive` is to follow."""
        time.sleep(strike.life_s)
        if strike.frozen_s:
            self.freezes += 1
            self.daemon.send(signal.SIGSTOP)
            time.sleep(strike.frozen_s)
        if not strike.killed:
            self.daemon.send(signal.SIGCONT)
            return
        self.kill()
        for start_s in strike.starts_s:
            self.daemon.start()
            time.sleep(start_s)
            self.daemon.check()
            self.kill()

    def kill(self) -> None:
        """SIGKILL, also of one that is frozen."""
        self.kills += 1
        self.daemon.kill()

    def revive(self) -> None:
        """Start it if it does not run, and return when it is ready."""
        if not self.daemon.runs:
            began = time.monotonic()
            self.daemon.start()
            self.until_ready()
            self.starts_s.append(time.monotonic() - began)
