"""Root acts as the owner of a folder. In processes of their own: what was given up does not come back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVICE = 65534
_PRELUDE = """
import json, os, sys
from pathlib import Path
from farshore_shell import owner
folder, other = map(Path, sys.argv[1:])
ids = lambda: [*os.getresuid(), *os.getresgid(), *os.getgroups()]
looked = os.access
# The tests' own copy of the program may lie where only root can read it.
os.access = lambda path, *rest, **more: path == owner.__file__ or looked(path, *rest, **more)
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as others")


@pytest.fixture
def place() -> Iterator[Path]:
    """Everybody may go through it."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def folder(place: Path) -> Path:
    """The service's."""
    made = place / "state"
    made.mkdir(0o700)
    os.chown(made, SERVICE, SERVICE)
    return made


@pytest.fixture
def others(place: Path) -> Path:
    """Root's."""
    made = place / "others"
    made.mkdir(0o700)
    return made


def in_a_process(program: str, folder: Path, other: Path) -> Any:  # noqa: ANN401 - any JSON value
    said = subprocess.run(
        [sys.executable, "-c", _PRELUDE + program, str(folder), str(other)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


@as_root
def test_what_is_written_is_the_owner_s_and_what_the_caller_named_the_caller_s(folder: Path, others: Path) -> None:
    program = """
owner.act_as_owner_of(folder)
(folder / "buffer").touch()
with owner.as_caller():
    (other / "parcel").touch()
(folder / "more").touch()
print(json.dumps([each.stat().st_uid for each in (folder / "buffer", folder / "more")]))
"""
    assert in_a_process(program, folder, others) == [SERVICE, SERVICE]
    assert (others / "parcel").stat().st_uid == 0


@as_root
def test_a_daemon_cannot_become_root_again(folder: Path, others: Path) -> None:
    program = """
owner.act_as_owner_of(folder)
owner.stay_owner()
with owner.as_caller():
    seen = ids()
try:
    os.seteuid(0)
except PermissionError:
    print(json.dumps(seen))
"""
    assert in_a_process(program, folder, others) == [SERVICE] * 7


@as_root
def test_root_stays_root_for_its_own_folder_and_for_one_that_is_not_there(folder: Path, others: Path) -> None:
    program = """
owner.act_as_owner_of(other)
owner.act_as_owner_of(other / "missing")
with owner.as_caller():
    pass
print(json.dumps(ids()[:6]))
"""
    assert in_a_process(program, folder, others) == [0] * 6


@as_root
def test_an_owner_who_cannot_read_the_program_is_said_so(folder: Path, others: Path) -> None:
    program = """
os.access = lambda path, *rest, **more: path != owner.__file__ and looked(path, *rest, **more)
try:
    owner.act_as_owner_of(folder)
except owner.NotOurs as error:
    print(json.dumps(str(error)))
"""
    assert "install this program where the user 65534 can read it" in in_a_process(program, folder, others)


@as_root
@pytest.mark.parametrize("where", ["other", "other / 'inside'"])
def test_who_is_neither_the_owner_nor_root_is_told_whom_to_be(folder: Path, others: Path, where: str) -> None:
    program = f"""
os.setgroups([])
os.setresgid({SERVICE}, {SERVICE}, {SERVICE})
os.setresuid({SERVICE}, {SERVICE}, {SERVICE})
try:
    owner.act_as_owner_of({where})
except owner.NotOurs as error:
    print(json.dumps(str(error)))
"""
    assert "owner or as root" in in_a_process(program, folder, others)
