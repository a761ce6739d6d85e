"""The process that forks a worker for each question, kills those whose hub has hung up, and ends with the hub.

What always holds: it has one thread, and reads nothing of a conversation; a conversation's last copy is closed when its
worker is gone, so whoever sees its end knows that.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn

from farshore_hub.lake import duck
from farshore_hub.lake.worker.answering import converse
from farshore_hub.lake.worker.channel import Channel, HungUp
from farshore_hub.work.processes import die_with

_GONE: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR


@dataclass(frozen=True, slots=True)
class _Worker:
    """One that was forked.

    Attributes:
        pid: of the process, which is not waited for before `ended` says so.
        conversation: this process's copy.
        ended: a pipe whose other end the worker alone has.
    """

    pid: int
    conversation: socket.socket
    ended: int


class Zygote:
    """Forks workers as the control socket asks for them: each of its messages is one end of a conversation."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._workers: dict[int, _Worker] = {}

    def run(self) -> None:
        """Until the hub closes the control socket, or is gone."""
        while self._step():
            pass
        for worker in self._workers.values():
            os.kill(worker.pid, signal.SIGKILL)

    def _step(self) -> bool:
        at, _ = self._poll.poll()[0]  # one at a time: the numbers of the others may mean something else after it
        if at == self._control.fileno():
            _, ends, _, _ = socket.recv_fds(self._control, 1, 1)
            if not ends:
                return False
            self._fork(socket.socket(fileno=ends[0]))
        elif at in self._workers:
            self._bury(self._workers.pop(at))
        else:
            self._kill(at)
        return True

    def _fork(self, conversation: socket.socket) -> None:
        ended, alive = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            os.close(ended)
            self._become_worker(parent, conversation)
        os.close(alive)
        self._workers[ended] = _Worker(pid, conversation, ended)
        self._poll.register(ended, select.POLLIN)
        self._poll.register(conversation, _GONE)

    def _become_worker(self, parent: int, conversation: socket.socket) -> NoReturn:
        try:
            die_with(parent)
            self._control.close()
            for other in self._workers.values():
                other.conversation.close()
                os.close(other.ended)
            with suppress(HungUp):
                converse(Channel(conversation))
            os._exit(0)
        except BaseException:  # noqa: BLE001  there is nobody above who could tell
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)  # nothing may run on into the zygote's own code

    def _kill(self, conversation: int) -> None:
        self._poll.unregister(conversation)
        for worker in self._workers.values():
            if worker.conversation.fileno() == conversation:
                os.kill(worker.pid, signal.SIGKILL)

    def _bury(self, worker: _Worker) -> None:
        _, status = os.waitpid(worker.pid, 0)
        self._poll.unregister(worker.ended)
        os.close(worker.ended)
        with worker.conversation as conversation, suppress(KeyError):
            self._poll.unregister(conversation)
        code = os.waitstatus_to_exitcode(status)
        if code not in {0, -signal.SIGKILL}:
            sys.stderr.write(f"a query's process ended with {code}\n")


def main() -> None:
    """Serve the control socket whose number is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    duck.warm_up()
    gc.collect()
    gc.freeze()
    Zygote(control).run()
    os._exit(0)  # without DuckDB's goodbye, which is a list of what it has not freed
