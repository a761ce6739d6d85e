"""Every operation that SQLite does on a disk goes past here: it is counted, perhaps made to fail, and written down."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.disk.medium import Kind, Operation

OK: Final = 0
SQLITE_FULL: Final = 13
_ERRORS: Final = {
    Kind.OPEN: 14,  # SQLITE_CANTOPEN
    Kind.READ: 266,  # SQLITE_IOERR_READ
    Kind.WRITE: 778,  # SQLITE_IOERR_WRITE
    Kind.TRUNCATE: 1546,  # SQLITE_IOERR_TRUNCATE
    Kind.SYNC: 1034,  # SQLITE_IOERR_FSYNC
    Kind.DELETE: 2570,  # SQLITE_IOERR_DELETE
}

Do = Callable[[], int]
"""Really does it; an SQLite result code."""


class Fault(enum.StrEnum):
    """How an operation fails."""

    EIO = "eio"
    FULL = "full"
    SHORT = "short"
    """Half of the data is written, then the disk is full."""
    EIO_OF_SYNC = "eio-of-sync"
    """A sync fails; what it should have written may still reach the disk."""
    GATE = "gate"
    """A sync fails, what it should have written is lost, and the next sync says that all is well."""


AFFECTED: Final = {
    Fault.EIO: frozenset(_ERRORS),
    Fault.FULL: frozenset({Kind.WRITE, Kind.OPEN}),
    Fault.SHORT: frozenset({Kind.WRITE}),
    Fault.EIO_OF_SYNC: frozenset({Kind.SYNC}),
    Fault.GATE: frozenset({Kind.SYNC}),
}


@dataclass(slots=True)
class Plan:
    """Which operation fails, counted from 1 among those that can fail so; all later ones too if it is sticky."""

    fault: Fault
    at: int
    sticky: bool = False
    met: int = 0
    is_over: bool = False

    def meets(self, kind: Kind) -> bool:
        """Count an operation; whether it has to fail."""
        if self.is_over or kind not in AFFECTED[self.fault]:
            return False
        self.met += 1
        return self.met == self.at or (self.sticky and self.met > self.at)

    @property
    def was_met(self) -> bool:
        """Whether anything has failed."""
        return self.met >= self.at


class Tape:
    """What was done to one disk, in order."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.operations: list[Operation] = []
        self.plan = plan
        self._made: set[str] = set()

    def __len__(self) -> int:
        return len(self.operations)

    def open(self, name: str, do: Do, *, is_there: bool) -> int:
        """Open a file, or make it. One that somebody has made beforehand is empty, and new here."""
        if is_there and name in self._made:
            return do()
        operation = Operation(Kind.OPEN, name)
        code = self._note(operation, do()) if is_there else self._run(operation, do)
        if code == OK:
            self._made.add(name)
        return code

    def write(self, name: str, offset: int, data: bytes, do: Callable[[bytes], int]) -> int:
        """Write some bytes."""
        if self.plan and self.plan.fault is Fault.SHORT and self.plan.meets(Kind.WRITE):
            half = data[: len(data) // 2]
            self._note(Operation(Kind.WRITE, name, offset, half), do(half))
            return SQLITE_FULL
        return self._run(Operation(Kind.WRITE, name, offset, data), lambda: do(data))

    def truncate(self, name: str, size: int, do: Do) -> int:
        """Cut a file, or make it longer."""
        return self._run(Operation(Kind.TRUNCATE, name, size), do)

    def sync(self, name: str, do: Do) -> int:
        """Bring a file to the medium."""
        return self._run(Operation(Kind.SYNC, name), do)

    def delete(self, name: str, do: Do) -> int:
        """Remove a file."""
        code = self._run(Operation(Kind.DELETE, name), do)
        if code == OK:
            self._made.discard(name)
        return code

    def read_error(self) -> int:
        """Count a read; its error, or `OK`."""
        return self._fault(Kind.READ)

    def _run(self, operation: Operation, do: Do) -> int:
        error = self._fault(operation.kind)
        if error:
            if self.plan and self.plan.fault is Fault.GATE:
                self.operations.append(Operation(Kind.FORGET, operation.name))
            return error
        return self._note(operation, do())

    def _fault(self, kind: Kind) -> int:
        if self.plan is None or self.plan.fault is Fault.SHORT or not self.plan.meets(kind):
            return OK
        is_full = self.plan.fault is Fault.FULL and kind is Kind.WRITE
        return SQLITE_FULL if is_full else _ERRORS[kind]

    def _note(self, operation: Operation, code: int) -> int:
        if code == OK:
            self.operations.append(operation)
        return code
