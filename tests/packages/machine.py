"""A clean Debian with its own service manager, in which packages are installed and used as on a site's machine.

debootstrap makes its files once, systemd-nspawn boots a copy of them: its systemd is process 1, with its own processes,
users and network (loopback only), and applies the units as they are.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.acceptance.commands import DEADLINE_S, Said
from tests.processes import children_of

ROOTS: Final = Path(__file__).parents[2] / ".roots"
NEEDED: Final = ("adduser", "curl", "dbus", "python3", "systemd", "systemd-sysv")
"""Of the packages' own needs, what makes it a system that boots, and what the README's reader has."""

_BOOT_S: Final = 300.0
_COMMAND_S: Final = 600.0
_PATH: Final = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """A booted system."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self._enter = ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "--", "/usr/bin/env", "-i", _PATH]

    def run(self, line: str, given: bytes = b"") -> Said:
        """A line of shell, as root."""
        # In a session of its own: from within, our process group looks like number 0, and killing that one kills us.
        ended = subprocess.run(
            [*self._enter, "/bin/sh", "-c", line],
            input=given,
            capture_output=True,
            timeout=_COMMAND_S,
            check=False,
            start_new_session=True,
        )
        return Said(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def do(self, line: str, given: bytes = b"") -> Said:
        """The same, which has to end well."""
        said = self.run(line, given)
        assert said.code == 0, f"{line} ended with {said.code}: {said.err}{said.out}"
        return said

    def until(self, what: str, look: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Look again and again until it is so."""
        end_s = time.monotonic() + deadline_s
        while not look():
            assert time.monotonic() < end_s, f"waited {deadline_s:.0f} s in vain: {what}\n{self.journal()}"
            time.sleep(0.2)

    def put(self, file: Path) -> str:
        """Copy a file in; where it is there."""
        shutil.copy(file, self.root / "root" / file.name)
        return f"/root/{file.name}"

    def property(self, unit: str, name: str) -> str:
        """Of a unit, as in `systemctl show`."""
        return self.do(f"systemctl show --value --property {name} {shlex.quote(unit)}").out.strip()

    def journal(self) -> str:
        """The end of the log."""
        return self.run("journalctl --no-pager --lines 40").out


def clean_root(suite: str) -> Path:
    """The files of a new system of that release; made when they are asked for the first time."""
    ready = ROOTS / f"{suite}-{len(NEEDED)}"
    if not ready.exists():
        draft = ROOTS / f"{suite}.part"
        shutil.rmtree(draft, ignore_errors=True)
        ROOTS.mkdir(exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(NEEDED)}", suite, str(draft)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        draft.rename(ready)
    return ready


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """A machine with those files, from when its services are started to the end of the block."""
    console = root.with_name(f"{root.name}.log").open("wb")
    # Registering would need the service manager of this machine, which may have none.
    options = ["--quiet", "--register=no", "--keep-unit", "--private-network", "--hostname=site"]
    command = ["systemd-nspawn", *options, f"--directory={root}", "--boot"]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
    try:
        yield _up(root, child)
    finally:
        child.kill()
        child.wait()
        console.close()


def _up(root: Path, child: subprocess.Popen[bytes]) -> Machine:
    end_s = time.monotonic() + _BOOT_S
    while time.monotonic() < end_s:
        assert child.poll() is None, f"it has not booted: {root.with_name(f'{root.name}.log').read_text()}"
        for leader in children_of(child.pid):
            machine = Machine(root, leader)
            if machine.run("systemctl is-system-running").out.strip() in {"running", "degraded"}:
                return machine
        time.sleep(0.2)
    raise AssertionError(f"not booted after {_BOOT_S:.0f} s")
