"""What the peers' benchmarks have in common: a free port, and blocks handed over by several connections at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

_Block = TypeVar("_Block")


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def hand_over(blocks: Iterable[_Block], hands: Sequence[Callable[[_Block], object]]) -> float:
    """Give each block to the next hand that is free, each in a thread of its own; seconds.

    Raises:
        Exception: what the first hand that failed has raised.
    """
    waiting, lock = iter(blocks), threading.Lock()
    failed: list[Exception] = []

    def work(hand: Callable[[_Block], object]) -> None:
        try:
            while not failed:
                with lock:
                    block = next(waiting, None)
                if block is None:
                    return
                hand(block)
        except Exception as error:  # noqa: BLE001 - it is raised again below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(hand,)) for hand in hands]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.monotonic() - began_s
