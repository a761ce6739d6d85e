"""`farshore-hub audit`: what it prints, and how it ends."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, update

from farshore_hub.opening import open_hub
from farshore_hub.store.engine import writing
from farshore_hub.store.schema import batches
from tests.hub.cli.conftest import Run
from tests.hub.cli.test_commands import imported
from tests.hub.web.parcels import Sender

__all__ = ["imported"]


def spoil(folder: Path) -> None:
    with open_hub(folder) as hub, writing(hub.engine) as connection:
        raw = bytearray(connection.scalar(select(batches.c.raw)) or b"")
        raw[-3] ^= 1
        connection.execute(update(batches).values(raw=bytes(raw)))


def test_a_sound_hub_ends_with_0(run: Run, folder: Path, imported: Sender) -> None:
    said = run("audit")
    assert (said.exit_code, said.out) == (
        0,
        "all is as the ledger says: 1 accounts, 1 sealed batches, 0 rows of the lake\n",
    )


def test_a_damaged_batch_is_named_and_the_command_ends_with_11(run: Run, folder: Path, imported: Sender) -> None:
    spoil(folder)
    said = run("audit", "--site", "pump-1")
    assert said.exit_code == 11
    assert "the stored batch pump-1/boiler 1…4 does not match its digest" in said.out
    assert "a repair: its site is asked for the records again" in said.out
    told = run("audit", "--json").json
    assert told["found"] == {"batch": 1}
    assert [(each["kind"], each["ranges"], each["cure"]) for each in told["differences"]] == [
        ("batch", [[1, 4]], "wanted")
    ]


def test_a_repair_marks_what_is_damaged_and_the_status_tells_it(run: Run, folder: Path, imported: Sender) -> None:
    spoil(folder)
    assert run("audit", "--status").out == "next: -\n"
    assert run("audit", "--repair").exit_code == 11
    assert run("audit").exit_code == 0
    assert [(each["outcome"], each["records"]) for each in run("audit", "--status", "--json").json["damages"]] == [
        ("open", 4)
    ]
    assert "open" in run("audit", "--status").out


def test_an_audit_of_what_there_is_not_is_refused(run: Run, folder: Path, imported: Sender) -> None:
    assert run("audit", "--site", "nowhere").exit_code == 6
    assert run("audit", "--stream", "nothing").exit_code == 6
    assert run("audit", "--since", "yesterday").exit_code == 2
