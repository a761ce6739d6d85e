"""Names of sites and streams: what is allowed, and the companion streams that Farshore itself adds.

Lower case, digits, `-` and `_`: such a name is safe as a folder, an SQL identifier, an MQTT topic level and a
certificate's common name. The dot is kept for Farshore: `boiler.hourly` is a companion of `boiler`.
"""

from __future__ import annotations

import re
from typing import Final

from farshore_protocol.limits import MAX_NAME_CHARS

QUARANTINE: Final = "quarantine"
"""Companion stream of what was refused at a stream's door."""

HOURLY: Final = "hourly"
"""Companion stream of the hourly summaries that stand for thinned detail."""

CHANGES: Final = "changes"
"""Stream of the changes of a table of that name."""

COMPANIONS: Final = (QUARANTINE, HOURLY, CHANGES)

SITE_PATTERN: Final = rf"[a-z0-9][a-z0-9-]{{0,{MAX_NAME_CHARS - 1}}}"
_STREAM_PATTERN: Final = rf"[a-z0-9][a-z0-9_-]{{0,{MAX_NAME_CHARS - 1}}}"
ANY_STREAM_PATTERN: Final = rf"{_STREAM_PATTERN}(\.({'|'.join(COMPANIONS)}))?"
"""The whole of a name that `check_any_stream` takes; `SITE_PATTERN` that of a site. For descriptions of interfaces."""

_SITE: Final = re.compile(SITE_PATTERN)
_STREAM: Final = re.compile(_STREAM_PATTERN)


class BadName(ValueError):
    """A site or stream name that is not allowed. The text says what is."""


def check_site(name: str) -> str:
    """Return `name` if it may name a site.

    Raises:
        BadName: with the rule in its text.
    """
    if not _SITE.fullmatch(name):
        raise BadName(
            f"{_shown(name)} is not a site name: use 1 to {MAX_NAME_CHARS} of a-z, 0-9 and '-', not starting with '-'"
        )
    return name


def check_stream(name: str) -> str:
    """Return `name` if a producer may append to a stream of that name.

    Raises:
        BadName: with the rule in its text.
    """
    if not _STREAM.fullmatch(name):
        raise BadName(
            f"{_shown(name)} is not a stream name: use 1 to {MAX_NAME_CHARS} of a-z, 0-9, '-' and '_', "
            "starting with a letter or digit"
        )
    return name


def check_any_stream(name: str) -> str:
    """Return `name` if it names a stream or one of its companions; what a hub accepts from an agent.

    Raises:
        BadName: with the rule in its text.
    """
    base, dot, companion = name.partition(".")
    if dot and companion not in COMPANIONS:
        raise BadName(f"{_shown(name)} is not a stream name: after the dot only {' or '.join(COMPANIONS)} may stand")
    check_stream(base)
    return name


def companion_of(stream: str, companion: str) -> str:
    """The name of a stream's companion: `companion_of("boiler", HOURLY)` is `"boiler.hourly"`."""
    return f"{stream}.{companion}"


def base_of(stream: str) -> str:
    """The stream that a companion belongs to; a stream that is no companion is its own base."""
    return stream.partition(".")[0]


def _shown(name: str) -> str:
    return repr(name if len(name) <= MAX_NAME_CHARS else name[:MAX_NAME_CHARS] + "…")
