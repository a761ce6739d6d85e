"""What became of records whose stored copy was damaged. Pure."""

from __future__ import annotations

import enum

from farshore_hub.ledger.account import Account
from farshore_protocol.ranges import RangeSet


class Cause(enum.StrEnum):
    """What was found damaged at the hub."""

    BATCH = "batch"
    """A stored batch that was not in the lake yet."""
    LAKE = "lake"
    """Rows of the lake whose sealed batch was given up, or is damaged too."""
    LEDGER = "ledger"
    """The account says that they are stored, and no batch has them."""


class Outcome(enum.StrEnum):
    """How a damage ended."""

    HEALED = "healed"
    """All of it is stored again."""
    LOST = "lost"
    """What is not stored again has a receipt: the site no longer has it."""


def outcome_of(damaged: RangeSet, account: Account) -> Outcome | None:
    """How a damage ended, by the account as it is now; None while something of it may still come."""
    missing = damaged & account.wanted
    if not missing:
        return Outcome.HEALED
    return None if missing - account.receipted else Outcome.LOST
