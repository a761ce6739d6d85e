"""The command, called in this process with its real entry point, and a hub for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from farshore_hub import cli


@dataclass
class Said:
    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["farshore-hub", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        said = capsys.readouterr()
        return Said(code if isinstance(code, int) else int(bool(code)), said.out, said.err)

    return call


@pytest.fixture
def folder(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An initialised data directory, which every command finds."""
    path = tmp_path / "hub"
    monkeypatch.setenv("FARSHORE_HUB_DIR", str(path))
    assert run("init", "--address", "https://127.0.0.1:8443").exit_code == 0
    return path
