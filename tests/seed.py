"""The seed of whatever is random in a test: drawn anew every time, printed, and repeatable with FARSHORE_SEED."""

from __future__ import annotations

import os
import random
from typing import Final

VARIABLE: Final = "FARSHORE_SEED"


def seed() -> int:
    """The seed that the environment names, or a new one; printed, so that it stands in the report of a failure."""
    given = os.environ.get(VARIABLE)
    chosen = int(given) if given else random.SystemRandom().getrandbits(32)
    print(f"random moments from seed {chosen}; again: {VARIABLE}={chosen}")  # noqa: T201 - pytest shows it when the test fails
    return chosen
