"""The buffer's file: everything in it is read and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from farshore_agent.buffer import BufferStatus
from farshore_agent.buffer.inspect import Flaw, opened, read_all
from farshore_agent.buffer.status import status_of
from farshore_protocol.messages import Reason
from farshore_shell.findings import Fault, Finding, Lost, Severity

REPAIR: Final = "farshore-agent doctor --repair"
_REMEDIES: Final = {
    "file": f"run: {REPAIR} (it sets the file aside and reads what can be read into a new one)",
    "log": "start the agent: it mends the log; then run the doctor again",
    "stream": f"run: {REPAIR}",
    "chunks": f"run: {REPAIR} (the ledger is told what is lost)",
    "batches": f"run: {REPAIR} (the ledger is told what is lost)",
    "dictionaries": f"run: {REPAIR}; batches that need it and that the hub cannot read get receipts",
    "epochs": f"run: {REPAIR} (from the other copy; if both are damaged, what was sealed under it gets receipts)",
}


def look_at_buffer(path: Path, *, is_live: bool, tell: Callable[[int], None]) -> Iterator[Finding]:
    """Check the whole file."""
    for read_bytes, flaws in read_all(path, is_live=is_live):
        tell(read_bytes)
        yield from map(_finding, flaws)


def _finding(flaw: Flaw) -> Finding:
    lost = [Lost(flaw.stream, flaw.incarnation.hex(), list(flaw.lost.ranges))] if flaw.lost else []
    severity = Severity.LOST if lost else Severity.TO_DO
    return Finding(f"buffer-{flaw.kind}", severity, flaw.what, Fault.DISK, _REMEDIES[flaw.kind], lost)


def look_at_history(path: Path, *, is_live: bool, max_bytes: int) -> Iterator[Finding]:
    """What was lost and repaired before, as far as the file remembers it."""
    with opened(path, is_live=is_live) as database:
        status = status_of(database, max_bytes)
    for line in status.repairs:
        yield Finding("repaired-before", Severity.NOTE, line, Fault.DISK, "have the disk checked, if it happens again")
    yield from _receipts(status)
    for line in status.set_aside:
        remedy = "report it with that chunk: the table set_aside of buffer.db has it; the stream goes on"
        yield Finding("set-aside", Severity.TO_DO, f"records could not be sealed: {line}", Fault.OURS, remedy)
    held_back = sum(stream.held_back for stream in status.streams)
    if held_back:
        what = f"the hub did not take {held_back} batch(es); they are kept and tried again"
        yield Finding("held-back", Severity.TO_DO, what, Fault.HUB, "farshore-agent status names the hub's reasons")


def _receipts(status: BufferStatus) -> Iterator[Finding]:
    for stream in status.streams:
        lost = stream.receipted.get(Reason.DAMAGED.value, 0)
        if lost:
            what = f"{lost} record(s) of {stream.name} were lost to damage before; the hub is told by receipts"
            yield Finding("lost-before", Severity.NOTE, what, Fault.DISK)
