"""Everything that the hub refuses or fails at: one class per meaning, with its HTTP problem and its exit code.

Each class says whose fault it is and each error what to do. The web turns them into problem details (RFC 9457), the
commands into `error: …` and `what to do: …`; nothing else maps errors to codes.
"""

from __future__ import annotations

from typing import ClassVar, Final

from farshore_protocol import errors as protocol

PROBLEM_URN: Final = "urn:farshore:problem:"


class HubError(Exception):
    """Something that the hub refuses or fails at.

    Attributes:
        status: the HTTP status of the answer.
        kind: the last part of the problem's type, `urn:farshore:problem:KIND`; programs compare it.
        title: the same for every error of a kind.
        exit_code: of a command that ends with it.
        retry_after_s: when the same request may be welcome; None if the hub has no idea.
        remedy: what the reader can do about it.
    """

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "The hub failed"
    exit_code: ClassVar[int] = 1
    retry_after_s: int | None = None

    def __init__(self, detail: str, *, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy

    @property
    def problem_type(self) -> str:
        """The URI that names this kind of problem."""
        return PROBLEM_URN + self.kind


class SettingsInvalid(HubError):
    """The operator's settings cannot be used. All that is wrong with them stands in the text."""

    kind = "settings-invalid"
    title = "The settings are not valid"
    exit_code = 3


class NotReady(HubError):
    """The data directory or the database is not (or no longer) what this command needs."""

    status = 503
    kind = "not-ready"
    title = "The hub is not ready"
    exit_code = 4
    retry_after_s = 5


class Malformed(HubError):
    """The bytes or values that the peer sent cannot be read."""

    status = 400
    kind = "malformed"
    title = "The request cannot be read"
    exit_code = 5


class Unauthenticated(HubError):
    """Nobody knows who asks: no certificate, no token, or one that the hub did not issue."""

    status = 401
    kind = "unauthenticated"
    title = "Who asks is not known"
    exit_code = 5


class NotAuthentic(HubError):
    """A signature does not match: damaged, forged, or made for another hub."""

    status = 403
    kind = "not-authentic"
    title = "A signature does not match"
    exit_code = 5


class Forbidden(HubError):
    """The hub knows who asks, and they may not do this."""

    status = 403
    kind = "forbidden"
    title = "Not allowed"
    exit_code = 5


class SiteRevoked(HubError):
    """The site, or this certificate of it, was revoked."""

    status = 403
    kind = "site-revoked"
    title = "The site is revoked"
    exit_code = 5


class TokenRefused(HubError):
    """A join token that is unknown, used or too old."""

    status = 403
    kind = "token-refused"
    title = "The join token is not valid"
    exit_code = 5


class Unknown(HubError):
    """Nothing here has that name."""

    status = 404
    kind = "unknown"
    title = "There is no such thing here"
    exit_code = 6


class Conflict(HubError):
    """It exists already, or is in a state that does not allow this."""

    status = 409
    kind = "conflict"
    title = "Not possible in this state"
    exit_code = 6


class OverLimit(HubError):
    """Larger than a bound. Nothing was read or done."""

    status = 413
    kind = "over-limit"
    title = "Over a bound"
    exit_code = 5


class WrongMediaType(HubError):
    """The body is of a media type that this route does not take."""

    status = 415
    kind = "wrong-media-type"
    title = "The body is of the wrong type"
    exit_code = 5


class Invalid(HubError):
    """The request can be read and makes no sense: a bad name, a bad value, a query with an error."""

    status = 422
    kind = "invalid"
    title = "The request is not valid"
    exit_code = 5


class Unsupported(HubError):
    """The peer speaks a newer version. Nothing is wrong with its data, and it should keep it."""

    status = 422
    kind = "unsupported"
    title = "A newer version than this hub's"
    exit_code = 5


class TimedOut(HubError):
    """It took longer than allowed, and was stopped."""

    status = 408
    kind = "timed-out"
    title = "It took too long"
    exit_code = 5


class Busy(HubError):
    """The hub has as much to do as it takes on. The same request is welcome after `retry_after_s`."""

    status = 503
    kind = "busy"
    title = "The hub is busy"
    exit_code = 7

    def __init__(self, detail: str, *, retry_after_s: int = 5, remedy: str = "") -> None:
        super().__init__(detail, remedy=remedy or f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class TooMany(HubError):
    """The same address failed too often. Nothing was looked at."""

    status = 429
    kind = "too-many"
    title = "Too many attempts"
    exit_code = 7

    def __init__(self, detail: str, *, retry_after_s: int = 60, remedy: str = "") -> None:
        super().__init__(detail, remedy=remedy or f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


def of_protocol(error: protocol.ProtocolError) -> HubError:
    """The same error in the hub's terms, where a whole message is refused for it."""
    for theirs, ours, remedy in _OF_PROTOCOL:
        if isinstance(error, theirs):
            return ours(str(error), remedy=remedy)
    return Malformed(str(error))


_OF_PROTOCOL: Final[tuple[tuple[type[protocol.ProtocolError], type[HubError], str], ...]] = (
    (protocol.OverLimit, OverLimit, "send less at once"),
    (protocol.Unsupported, Unsupported, "upgrade the hub; nothing is lost meanwhile"),
    (protocol.NotAuthentic, NotAuthentic, "check which site and which hub this was made for"),
    (protocol.Malformed, Malformed, "check what lies between the sender and the hub"),
)
