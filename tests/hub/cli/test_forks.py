"""`farshore-hub forks` and `losses`: what they print, and how they end."""

from __future__ import annotations

from pathlib import Path

from tests.hub.cli.conftest import Run
from tests.hub.cli.test_commands import imported
from tests.hub.web.parcels import Sender

__all__ = ["imported"]


def test_a_fork_is_listed_shown_exported_and_named_in_the_completeness(
    run: Run, folder: Path, imported: Sender, tmp_path: Path
) -> None:
    assert run("forks", "list", "--json").json == []
    parcel = tmp_path / "other.parcel"
    parcel.write_bytes(imported.parcel([{"temp": n} for n in range(4)], head=6))
    assert run("import", parcel).exit_code == 0
    [fork] = run("forks", "list", "--site", "pump-1", "--json").json
    assert (fork["first"], fork["last"], fork["aside"]) == (1, 4, [[1, 4]])
    assert "pump-1" in run("forks", "list").out
    assert "stored in its place: 1-4" in run("forks", "show", fork["id"]).out
    assert run("forks", "export", fork["id"]).out == '{"temp":0}\n{"temp":1}\n{"temp":2}\n{"temp":3}\n'
    assert "kept aside: 4 records of pump-1 boiler (farshore-hub forks list)" in run("completeness").out
    assert run("forks", "show", 99).exit_code == 6


def test_losses_are_listed_with_their_cause(run: Run, folder: Path, imported: Sender) -> None:
    [loss] = run("losses", "--json").json["losses"]
    assert (loss["first"], loss["last"], loss["cause"], loss["state"]) == (5, 6, "unknown", "missing")
    assert "unknown" in run("losses", "--site", "pump-1").out
    assert run("losses", "--cause", "evicted", "--json").json["losses"] == []
    assert run("losses", "--stream", "NO").exit_code == 5
