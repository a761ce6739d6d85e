"""A command that root has called acts as the owner of the folder that it works on.

Otherwise it would leave files there that the service, which is not root, can never open again. Files that the caller
has named, such as those on a stick, are still theirs: `as_caller` goes back for the moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ROOT: Final = 0
_NEITHER: Final = "call the command as the folder's owner or as root, such as with sudo"


class NotOurs(Exception):
    """The folder cannot be used by this user. The text says what to do."""


def act_as_owner_of(folder: Path) -> None:
    """From now on act as the owner of the folder, if we are root, it is there, and it is somebody else's.

    Raises:
        NotOurs: we are neither the owner nor root, or the owner cannot run this program.
    """
    try:
        found = folder.stat()
    except FileNotFoundError:
        return
    except PermissionError:
        raise NotOurs(_NEITHER) from None
    if os.geteuid() == _ROOT != found.st_uid:
        os.setgroups([found.st_gid])
        os.setresgid(found.st_gid, found.st_gid, _ROOT)
        os.setresuid(found.st_uid, found.st_uid, _ROOT)
        if not os.access(__file__, os.R_OK, effective_ids=True):
            raise NotOurs(f"install this program where the user {found.st_uid} can read it, not in {Path(__file__)}")
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
        raise NotOurs(_NEITHER)


def stay_owner() -> None:
    """Make it final; for daemons."""
    group, user = os.getegid(), os.geteuid()
    if os.getresuid()[2] != user:
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)


@contextmanager
def as_caller() -> Iterator[None]:
    """For as long as the block runs, act as whoever has called the command."""
    _, owner, caller = os.getresuid()
    group = os.getegid()
    if owner == caller:
        yield
        return
    os.seteuid(caller)
    os.setegid(_ROOT)
    try:
        yield
    finally:
        os.setegid(group)
        os.seteuid(owner)
