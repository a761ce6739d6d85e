"""A hub that runs in a virtual machine; its sites stand outside, and so do its operator's requests.

It says that sites may forget what it has stored. So what it has answered for and does not have any more is lost, and
shows; otherwise the sites would send it again, and nobody would know.
"""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.acceptance.commands import path_of, until
from tests.acceptance.hub import Hub
from tests.powercut.guest import MIB, make_disk, make_guest
from tests.powercut.machine import Machine, at_guest
from tests.powercut.site import PATIENCE_S

CONTROLS: Final = {"normal": "the hub with synchronous=NORMAL, which answers before it flushes"}

_DISK_BYTES: Final = 256 * MIB
_MEMORY_MIB: Final = 1536
_LOOK_S: Final = 60
_ANSWER_S: Final = 600
_SETTINGS: Final = '\n[retention]\narchive = "stored"\n[web]\nquery_timeout = "10 min"\n'


class BoxedHub(Hub):
    """A hub like any other, once `box` has put its folder onto the machine's disk."""

    machine: Machine

    def box(self, kernels: Path, chance: random.Random, *, control: str) -> None:
        """Make the machine.

        Args:
            kernels: where the kernel is kept from run to run.
            chance: decides what survives in the disk's cache.
            control: one of `CONTROLS`, or nothing.
        """
        with (self.data / "hub.toml").open("a") as settings:
            settings.write(_SETTINGS)
        folder = self.data.parent
        content = folder / "hub-disk"
        shutil.copytree(self.data, content / "hub")
        data = make_disk(content, folder / "data.img", size=_DISK_BYTES)
        program = [sys.executable, str(Path(__file__).with_name("careless_hub.py"))] if control == "normal" else []
        command = [*(program or [path_of("farshore-hub")]), "--data-dir", "/data/hub", "serve"]
        self.machine = self.daemon = Machine(
            make_guest(folder / "guest", kernels, command, extras=["hub"]),
            data,
            folder,
            listens=at_guest(self.port),
            memory_mib=_MEMORY_MIB,
            chance=chance,
            port=self.port,
        )

    def until_ready(self) -> None:
        """A machine without KVM takes its time; one that boots takes connections that lead nowhere."""
        self.timeout_s = _LOOK_S

        def ready() -> bool:
            self.daemon.check()
            return self._is_ready()

        until("the hub in the machine is ready", ready, deadline_s=PATIENCE_S)
        self.timeout_s = _ANSWER_S
