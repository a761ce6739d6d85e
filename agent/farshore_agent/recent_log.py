"""The last lines of the agent's log, and the errors in it: for whoever has to help from afar, and for the probe."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

MAX_LINES: Final = 500
MAX_LINE_CHARS: Final = 500
MAX_ERRORS: Final = 100

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class RecentLog(logging.Handler):
    """A log handler that remembers.

    Attributes:
        lines: the newest, as text.
        errors: what was logged as an error, a line each: of one kind only the first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self.lines: deque[str] = deque(maxlen=MAX_LINES)
        self._errors: dict[tuple[str, str], str] = {}

    @property
    def errors(self) -> list[str]:
        """A line for each kind."""
        return list(self._errors.values())

    def emit(self, record: logging.LogRecord) -> None:
        """Remember a record; what cannot be formatted is left to the other handlers to complain of."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as logging itself does it
            return
        # Of a traceback the end says most.
        self.lines.append(line if len(line) <= MAX_LINE_CHARS else f"{line[:200]} … {line[-MAX_LINE_CHARS + 200 :]}")
        if record.levelno >= logging.ERROR and len(self._errors) < MAX_ERRORS:
            kind = (record.name, str(record.msg))
            self._errors.setdefault(kind, f"the log has an error: {record.getMessage()}"[:MAX_LINE_CHARS])
