"""What can go wrong at a site, whose fault it is, and what to do about it: one class per meaning.

The class attributes are the one table that says how a command exits and what an HTTP client is told. Text that a person
sees is `str(error)`, followed by `error.remedy` where there is one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from farshore_agent.buffer.model import Refused


class ExitCode(enum.IntEnum):
    """How a command ends."""

    OK = 0
    OURS = 1
    """A bug, or a machine that is broken."""
    USAGE = 2
    CONFIGURATION = 3
    NOT_ENROLLED = 4
    HUB = 5
    """The hub refused, or could not be reached."""
    BUFFER_FULL = 6
    RECORDS_REFUSED = 7
    """Some or all records were refused; they are in quarantine."""


class AgentError(Exception):
    """Base of everything that the agent raises on purpose. Raised itself only for what no other class means.

    Attributes:
        exit_code: of a command that ends with it.
        status: of an HTTP answer that tells of it.
        title: its meaning in a few words, the same every time (RFC 9457).
        remedy: what a person can do; may be empty.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.OURS
    status: ClassVar[int] = 500
    title: ClassVar[str] = "the agent failed"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in the settings file: where, why, and what would be right."""

    key: str
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.key}: " if self.key else ""
        return f"{where}{self.why}" + (f" ({self.remedy})" if self.remedy else "")


class SettingsError(AgentError):
    """The settings file cannot be used. Carries every problem of the file, not only the first."""

    exit_code = ExitCode.CONFIGURATION
    title = "the settings are not valid"

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{source}: {len(self.problems)} problem(s)", *map(str, self.problems)]))


class NotEnrolled(AgentError):
    """There is no identity in the state folder."""

    exit_code = ExitCode.NOT_ENROLLED
    title = "the site is not enrolled"


class AlreadyRunning(AgentError):
    """Another process owns the buffer."""

    title = "another agent uses this state folder"
    status = 503


class BufferFull(AgentError):
    """The buffer has no room and the stream's policy is to refuse. Nothing was kept; try again later."""

    exit_code = ExitCode.BUFFER_FULL
    status = 507
    title = "the buffer is full"


class BufferBroken(AgentError):
    """The disk refuses to store. Nothing was acknowledged; the operator has to look at the machine."""

    title = "the buffer cannot be written"
    status = 503


class Stopping(AgentError):
    """The agent is shutting down; try again when it is back."""

    title = "the agent is stopping"
    status = 503


class RecordsRefused(AgentError):
    """Not one record of a call was admitted. Each stands in the stream's quarantine with its reason."""

    exit_code = ExitCode.RECORDS_REFUSED
    status = 422
    title = "every record was refused"

    def __init__(self, stream: str, refused: Sequence[Refused]) -> None:
        self.stream = stream
        self.refused = tuple(refused)
        super().__init__(
            f"{stream}: all {len(self.refused)} records were refused; the first (record {self.refused[0].line}): "
            f"{self.refused[0].why}",
            remedy=f"they are kept in the stream {stream}.quarantine",
        )


class StreamNotFound(AgentError):
    """The stream's name is not allowed, or the stream is not declared and undeclared streams are not accepted."""

    exit_code = ExitCode.USAGE
    status = 404
    title = "there is no such stream"


class LinkError(AgentError):
    """The hub could not be reached, or did not take what was sent. `forward.link` says in which way."""

    exit_code = ExitCode.HUB
    status = 502
    title = "the hub did not take it"


class IdentityError(AgentError):
    """The files of the site's identity are damaged or belong to somebody else."""

    exit_code = ExitCode.NOT_ENROLLED
    title = "the identity cannot be used"
