"""Virtual time: an event loop that jumps to its next timer, runs what is ready in a seeded order, and can kill.

A *process* is one start of an agent or of the hub. Everything that runs for it carries it in its context. A process
that was killed never runs again: no callback, no `finally`, no statement; as after SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

Context = contextvars.Context

MAX_STEPS: Final = 300_000
"""More than any seed needs: what runs in a circle is cut off."""


class Killed(BaseException):
    """Raised at the very point where a process dies. It does not inherit Exception, so nobody handles it."""


class Process:
    """One start of a node.

    Attributes:
        fuse: after so many more points at which it could die, it does; None when nobody wants that.
        on_death: told when the fuse has burnt down, before anything else of the process is undone.
    """

    def __init__(self, name: str, on_death: Callable[[], None]) -> None:
        self.name = name
        self.alive = True
        self.fuse: int | None = None
        self.points = 0
        self.on_death = on_death

    def point(self) -> None:
        """A point at which a process can die: before and after each piece of blocking work, and before each statement.

        Raises:
            Killed: here and now, or it was dead already.
        """
        if not self.alive:
            raise Killed(self.name)
        self.points += 1
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.on_death()
                raise Killed(self.name)

    def context(self) -> Context:
        """A context for what runs in this process."""
        context = Context()
        context.run(_RUNNING.set, self)
        return context


_RUNNING: Final[contextvars.ContextVar[Process | None]] = contextvars.ContextVar("running", default=None)


def running() -> Process | None:
    """The process whose code runs now; None for the world's own."""
    return _RUNNING.get()


class SimLoop(asyncio.BaseEventLoop):
    """Nothing waits here: when nothing is ready, time jumps to the next timer."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.steps = 0
        self.unexpected: list[str] = []
        self._clock_resolution = 1e-6
        self._now_s = 0.0
        self._rng = rng
        self._selector = self
        self._is_over = False
        self._graveyard: list[asyncio.Task[Any]] = []
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Seconds since the beginning of the world."""
        return self._now_s

    def select(self, timeout: float | None) -> tuple[()]:
        """What a selector would wait for; nothing comes from outside.

        Raises:
            RuntimeError: nothing is ready, and nothing ever will be.
        """
        if timeout is None:
            raise RuntimeError("deadlock: nothing is ready and nothing is scheduled")
        self._now_s += timeout
        return ()

    def call_soon(self, callback: Callable[..., Any], *args: object, context: Context | None = None) -> asyncio.Handle:
        """As every loop's, unless the process is dead by then."""
        self._go_on()
        return super().call_soon(self._guarded, callback, args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As every loop's, unless the process is dead by then."""
        self._go_on()
        return super().call_at(when, self._guarded, callback, args, context=context)

    def bury(self) -> None:
        """Keep what a killed process has left: were it collected, its `finally` blocks would run."""
        self._graveyard += asyncio.all_tasks(self)

    def end(self) -> None:
        """End everything that is left, dead or alive, without letting it do anything that counts."""
        left = [*self._graveyard, *asyncio.all_tasks(self)]
        self._is_over = True
        asyncio._set_running_loop(self)
        try:
            for task in left:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _close(task.get_coro())
        finally:
            asyncio._set_running_loop(None)
        self._graveyard.clear()
        self._ready.clear()
        self._scheduled.clear()
        self.close()

    def create_future(self) -> asyncio.Future[Any]:
        """As every loop's, while there is a world."""
        self._go_on()
        return super().create_future()

    def create_task(self, coro: Any, **named: Any) -> asyncio.Task[Any]:  # noqa: ANN401
        """As every loop's, while there is a world."""
        if self._is_over:
            coro.close()
        self._go_on()
        return super().create_task(coro, **named)

    def _go_on(self) -> None:
        """Whoever still wants something after the end, in a `finally` block, ends here."""
        if self._is_over:
            raise Killed

    def _guarded(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        process = _RUNNING.get()
        if process is None or process.alive:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise SystemExit(f"this world takes more than {MAX_STEPS} steps")
            callback(*args)

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        process = _RUNNING.get()
        if not self._is_over and not isinstance(error, Killed) and (process is None or process.alive):
            self.unexpected.append(f"{context.get('message')}: {error!r}")

    def _run_once(self) -> None:
        if len(self._ready) > 1:
            ready = list(self._ready)
            self._rng.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        super()._run_once()  # type: ignore[misc]

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def _close(coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any] | None) -> None:
    """Close a coroutine whose `finally` blocks await: each of these is refused in its turn."""
    for _ in range(50):
        try:
            if coro is not None:
                coro.close()
        except BaseException:  # noqa: BLE001 - whatever a dead process says, nobody listens
            continue
        return
