"""The demonstration that everybody runs first."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.acceptance.commands import DEADLINE_S, path_of, run, until


def _processes_in(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in line:
                found.append(int(entry.name))
    return found


def test_the_demo_ends_with_every_record_arrived_once() -> None:
    said = run("farshore", "demo")
    assert said.code == 0, said
    assert "Every record arrived, once and unchanged." in said.out


def test_ctrl_c_ends_the_demo_cleanly_and_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    log = (tmp_path / "demo.log").open("wb")
    demo = subprocess.Popen([path_of("farshore"), "demo", "--keep", folder], stdout=log, stderr=log)
    try:
        until("hub and agents run", lambda: len(_processes_in(folder)) >= 5)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(DEADLINE_S) == 130
    finally:
        demo.kill()
        log.close()
    assert _processes_in(folder) == []
    assert "Traceback" not in (tmp_path / "demo.log").read_text()
