from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from farshore_hub.lake.spill import Spill
from tests.hub.lake.stored import MIB


def test_a_folder_is_there_for_nobody_else_and_gone_afterwards(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", MIB)
    with spill.folder() as one, spill.folder() as other:
        (one.path / "block").write_bytes(b"x")
        assert one.path != other.path
        assert one.path.stat().st_mode & 0o077 == 0
        assert one.max_bytes == MIB
    assert list((tmp_path / "spill").iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_another_one_uses_is_not(tmp_path: Path) -> None:
    spill, left = Spill(tmp_path / "spill", MIB), tmp_path / "spill" / "question-left"
    left.mkdir(parents=True)
    (left / "block").write_bytes(b"x")
    with spill.folder() as used, Spill(tmp_path / "spill", MIB).folder():
        assert used.path.exists()
        assert not left.exists()


def test_a_folder_never_gets_more_than_an_eighth_of_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=80))
    with Spill(tmp_path, MIB).folder() as folder:
        assert folder.max_bytes == 10
