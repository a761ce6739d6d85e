"""The state folder: owner, modes, free space, the lock."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from farshore_agent.lock import FILE
from farshore_agent.settings import AgentSettings
from farshore_shell.findings import Fault, Finding, Severity

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def look_at_folder(settings: AgentSettings) -> Iterator[Finding]:
    """Owner, modes and room of the state folder."""
    folder = settings.state_dir
    if not folder.is_dir():
        remedy = "start the agent once, or correct state_dir"
        yield Finding("no-state", Severity.TO_DO, f"there is no state folder {folder}", Fault.OPERATOR, remedy)
        return
    yield from _open_to_others(folder)
    owner = folder.stat().st_uid
    foreign = [each.name for each in folder.iterdir() if each.lstat().st_uid != owner]
    if foreign:
        what = f"{', '.join(sorted(foreign))} in {folder} belong to another user than the folder"
        remedy = f"run: chown -R --reference={folder} {folder}"
        yield Finding("foreign-files", Severity.TO_DO, what, Fault.OPERATOR, remedy)
    yield from _room(settings)


def _open_to_others(folder: Path) -> Iterator[Finding]:
    for path in (folder, folder / "identity", folder / "identity" / "identity.json", folder / "identity" / "tls.pem"):
        if path.exists() and path.stat().st_mode & _OTHERS:
            what = f"others than its owner may use {path}"
            yield Finding("open-to-others", Severity.TO_DO, what, Fault.OPERATOR, f"run: chmod go= {path}")


def _room(settings: AgentSettings) -> Iterator[Finding]:
    file = settings.state_dir / "buffer.db"
    used = file.stat().st_size if file.exists() else 0
    free = shutil.disk_usage(settings.state_dir).free
    if used + free < settings.buffer.max_bytes:
        what = (
            f"the disk has {free >> 20} MiB free; the buffer may grow by {(settings.buffer.max_bytes - used) >> 20} MiB"
        )
        remedy = "make room, or lower buffer.max_bytes: a full disk makes the agent shed or refuse before its time"
        yield Finding("little-room", Severity.TO_DO, what, Fault.OPERATOR, remedy)


def holder(folder: Path) -> int | None:
    """The process that has the state folder; None if nobody has."""
    try:
        number = int((folder / FILE).read_text().strip())
        with (folder / FILE).open("rb") as file:
            # Whoever holds the lock is in the kernel's list; asking for it would get in the way of an agent's start.
            inode = os.fstat(file.fileno()).st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    return number if f":{inode} " in locks else None
