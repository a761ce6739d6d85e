"""A virtual machine whose power can be cut: QEMU without KVM, a data disk with a volatile cache, one forwarded port."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Final

from tests.acceptance.commands import Daemon
from tests.acceptance.hub import free_port
from tests.powercut.disk import SECTOR_BYTES, Cut, VolatileDisk
from tests.powercut.guest import GUEST_ADDRESS, Guest
from tests.powercut.nbd import DiskServer

QEMU: Final = "qemu-system-x86_64"
_SECTORS: Final = f"logical_block_size={SECTOR_BYTES},physical_block_size={SECTOR_BYTES}"


class Machine(Daemon):
    """Starts and ends like any other command of the harness; `kill` is the power cut.

    Args:
        guest: what it boots.
        data: the image of its data disk.
        folder: for the console's log and the disk's socket.
        listens: where the guest's command listens, as HOST:PORT in the guest.
        memory_mib: of the guest.
        chance: decides what of the disk's cache survives.
        port: of this machine; one that is free if it is left out.

    Attributes:
        port: of this machine; what connects to it reaches the guest's command.
        cuts: what each power cut did to the disk's cache.
    """

    def __init__(
        self,
        guest: Guest,
        data: Path,
        folder: Path,
        *,
        listens: str,
        memory_mib: int,
        chance: random.Random,
        port: int = 0,
    ) -> None:
        self.port = port or free_port()
        self.cuts: list[Cut] = []
        self._disk = VolatileDisk(data, chance)
        self._server = DiskServer(self._disk, folder / "disk.sock").__enter__()
        super().__init__(
            shutil.which(QEMU) or f"/usr/bin/{QEMU}",
            *("-accel", "tcg", "-cpu", "max", "-m", memory_mib, "-nographic", "-no-reboot", "-monitor", "none"),
            *(
                "-kernel",
                guest.kernel,
                "-initrd",
                guest.initramfs,
                "-append",
                "console=ttyS0 quiet panic=-1 no_timer_check",
            ),
            # Writeback: the guest sees a disk with a write cache, so it is the guest that has to flush.
            *("-drive", f"id=data,file=nbd+unix:///?socket={self._server.path},format=raw,if=none,cache=writeback"),
            *("-device", f"virtio-blk-pci,drive=data,{_SECTORS}"),
            *("-drive", f"id=system,file={guest.system},format=raw,if=none,readonly=on"),
            *("-device", "virtio-blk-pci,drive=system"),
            *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-{listens}"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
            log=folder / "console.log",
        )

    def start(self) -> None:
        """Switch it on."""
        self._disk.power_on()
        super().start()

    def kill_after(self, operations: int) -> None:
        """Let the disk lose its power in the middle of a write or flush, after so many more of them."""
        self._disk.cut_power_after(operations)

    @property
    def has_power(self) -> bool:
        """False when the disk has lost it by itself; `kill` is then to follow."""
        return self._disk.has_power

    def kill(self) -> None:
        """Cut the power: first the disk's, so that nothing that the guest still does gets there."""
        if self.runs:
            self.cuts.append(self._disk.cut_power())
        super().kill()

    def close(self) -> None:
        """Cut the power for good."""
        self.kill()
        self._server.__exit__()
        self._disk.__exit__()


def at_guest(port: int) -> str:
    """Where a command listens that takes connections from the network."""
    return f"{GUEST_ADDRESS}:{port}"
