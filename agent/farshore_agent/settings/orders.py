"""What the site's owner lets the hub do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farshore_agent.settings.kinds import Flag, ListOf, Text, Word
from farshore_agent.settings.table import Table, setting

MAX_ACCEPTED: Final = 64
"""As many as an introduction can name."""

NEVER: Final = ("state_dir", "orders")
"""What no hub may change: where the site's records are, and what the hub may do."""

COMMANDS: Final = ("flush", "log-level", "pause", "resend", "resume", "rotate-keys", "support-bundle")

_SAFE: Final = (
    "accept_undeclared",
    "buffer",
    "forward",
    "max_streams",
    "seal",
    "site_labels",
    "stream_defaults",
    "streams",
)


@dataclass(frozen=True, kw_only=True)
class OrdersSettings(Table):
    """`[orders]`: what the hub may do here. No hub changes this table.

    Attributes:
        enabled: whether orders are taken at all, and whether settings that the hub has sent are in force.
        accept: tables and keys that the hub may change, such as `streams` or `forward.heartbeat`. Inputs and captured
            tables reach into the site's own files and network, and are not among them unless they are named.
        commands: what the hub may have done.
    """

    enabled: bool = setting(Flag(), default=True)
    accept: tuple[str, ...] = setting(ListOf(Text(1, 64)), default=_SAFE)
    commands: tuple[str, ...] = setting(ListOf(Word.of(*COMMANDS)), default=COMMANDS)
