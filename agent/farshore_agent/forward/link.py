"""A link: a way to the hub. It takes a parcel and brings the answer, or says in which of three ways it could not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from farshore_agent.errors import LinkError
from farshore_protocol.urgency import Urgency


class LinkDown(LinkError):
    """No answer. The hub may have taken the parcel or not; the next answer will tell.

    Attributes:
        timed_out: it took too long; a smaller parcel may get through.
        untrusted: who answers shows a certificate that is not trusted: perhaps the hub has other keys by now.
    """

    title = "the hub cannot be reached"

    def __init__(self, message: str, *, timed_out: bool = False, untrusted: bool = False, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.timed_out = timed_out
        self.untrusted = untrusted


class LinkBusy(LinkError):
    """The hub asks to be left alone for `retry_after_s`; None when it does not say for how long."""

    title = "the hub is busy"
    status = 503

    def __init__(self, message: str, *, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class HubProblem:
    """A problem document (RFC 9457) of the hub; `kind` is the last part of its type."""

    status: int
    kind: str
    title: str
    detail: str = ""
    remedy: str = ""


class LinkRefused(LinkError):
    """The hub answered that it will not take this."""

    title = "the hub refused"

    def __init__(self, problem: HubProblem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}" if problem.detail else problem.title)
        self.problem = problem
        self.remedy = problem.remedy


class Link(Protocol):
    """One way to the hub. Calls come one after the other."""

    @property
    def address(self) -> str:
        """Where it leads now, for people."""
        ...

    async def exchange(self, parcel: bytes, *, urgency: Urgency, timeout_s: float) -> bytes:
        """Deliver a parcel and return the bytes of the signed answer. Nothing may stand still for `timeout_s`.

        Raises:
            LinkDown, LinkBusy, LinkRefused: as their texts say.
        """
        ...

    async def close(self) -> None:
        """End the connection, if there is one."""
        ...
