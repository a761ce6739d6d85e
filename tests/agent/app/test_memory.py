"""What the daemon must not load: each would cost memory for its whole life on a small machine."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "pydantic": "the settings are checked without it (decision 0015)",
    "importlib.metadata": "only a plugin needs it",
    "email.message": "only a date in Retry-After needs it",
    "zipfile": "importlib.resources brings it",
    "cryptography.x509": "only enrolment and renewal need it",
    "rich": "only commands print",
    "numpy": "the hub's",
}


def test_the_agent_loads_nothing_heavy() -> None:
    program = f"import sys, farshore_agent.app; print([each for each in {list(HEAVY)} if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
