"""Threads beside the event loop that end with what they were made for."""

from __future__ import annotations

from contextlib import ExitStack

from farshore_shell.system import ThreadRunner


def threads(stack: ExitStack, name: str, count: int = 1) -> ThreadRunner:
    """A runner with that name and so many threads, which end with the stack."""
    runner = ThreadRunner(name, count)
    stack.callback(runner.close)
    return runner
