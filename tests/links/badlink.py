"""A bad network for a test: starts `netem`, and gives the addresses and the way into its namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

import pytest

from tests.links.netem import Impairment

_PROGRAM: Final = Path(__file__).with_name("netem.py")


class BadLink:
    """A network between this namespace (where the hub is) and one in which a site can be put.

    Sites there use the most careful congestion control, whatever this machine has.

    Attributes:
        hub_address: the hub's, seen from the site.
        inside: what a command line begins with to run at the site.
    """

    def __init__(self, congestion: str = "reno") -> None:
        number = os.getpid() % 16_384 * 4
        net = f"10.77.{number >> 8}"
        self.hub_address, site_address = f"{net}.{(number & 255) + 1}", f"{net}.{(number & 255) + 2}"
        line = ["setpriv", "--pdeathsig", "KILL", sys.executable, str(_PROGRAM), self.hub_address, site_address]
        line.append(congestion)
        self._child = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        if self._child.stdout.readline() != "ready\n":
            said = self._child.communicate()[1].splitlines()
            pytest.skip(f"no TUN device in a network namespace here: {said[-1] if said else 'no reason given'}")
        self.inside = ("nsenter", f"--net=/proc/{self._child.pid}/ns/net")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate()

    def impair(self, how: Impairment) -> None:
        """From now on."""
        self._say(asdict(how))

    def carried(self) -> dict[str, dict[str, int]]:
        """What it was given so far, by direction: `up` to the hub and `down` from it."""
        return self._say({})

    def _say(self, what: dict[str, Any]) -> dict[str, dict[str, int]]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        print(json.dumps(what), file=self._child.stdin, flush=True)
        found: dict[str, dict[str, int]] = json.loads(self._child.stdout.readline())
        return found
