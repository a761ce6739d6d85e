"""What the daemon must not load: each would cost memory for its whole life on a small machine."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

HEAVY = {
    "pydantic": "the settings are checked without it (decision 0015)",
    "importlib.metadata": "only a plugin needs it",
    "email.message": "only a date in Retry-After needs it",
    "zipfile": "importlib.resources brings it",
    "cryptography.x509": "only enrolment and renewal need it",
    "difflib": "only a misspelt setting needs it",
    "farshore_agent.tables.loop": "only an agent that captures tables needs it",
    "rich": "only commands print",
    "numpy": "the hub's",
}


def test_the_agent_loads_nothing_heavy() -> None:
    program = f"import sys, farshore_agent.app; print([each for each in {list(HEAVY)} if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


GROW = """
import resource, sys
from farshore_shell.system import keep_memory_small

if sys.argv[1] == "small":
    keep_memory_small()
for size in range(1, 9):
    b"x" * (size * 1024 * 1024)  # comes and goes: from now on glibc would keep so much
held, kept = [], []
for each in range(8):
    held.append(bytearray(b"x") * (4 * 1024 * 1024))
    kept.append(bytearray(b"x") * 100_000)  # stays, behind the block
held.clear()
print(int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1024**2)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_large_blocks_are_given_back_as_soon_as_they_are_free() -> None:
    """What a backlog takes to drain is not kept afterwards; without the settings it is, so that the test sees them."""

    def resident_mib(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", GROW, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert resident_mib("as usual") - resident_mib("small") >= 16
