"""The command: what it prints, how it exits, with an agent running and without."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import os
import signal
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from farshore_agent import Agent
from farshore_agent.cli import main
from farshore_agent.orders.state import Pushed, State, save
from tests.agent.app.site import QUICK, records, settings_in, until
from tests.agent.forward.hub_stub import HubStub

COMMAND = Path(sys.executable).with_name("farshore-agent")


@dataclass
class Ended:
    code: int
    out: str
    err: str

    def json(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.out)
        return found


class Shell:
    """A folder with a settings file, in which commands run: in this process, because a hundred imports take long."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        (folder / "farshore-agent.toml").write_text(QUICK)

    async def run(self, *arguments: str, stdin: str = "") -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["farshore-agent", *arguments])
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = await asyncio.to_thread(_exit_code)
        return Ended(code, out.getvalue(), err.getvalue())


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubStub]:
    async with HubStub(tmp_path) as hub:
        yield hub


def ndjson(count: int) -> str:
    return "".join(json.dumps(record) + "\n" for record in records(count))


async def test_a_site_from_its_token_to_the_delivered_record(shell: Shell, hub: HubStub) -> None:
    joined = await shell.run("enrol", hub.token())
    assert (joined.code, "ship-1" in joined.out) == (0, True)
    async with Agent.started(settings_in(shell.folder), forward=True):
        stored = await shell.run("append", "boiler", stdin=ndjson(5))
        assert (stored.code, stored.out) == (0, "boiler: 5 stored, 0 refused\n")
        await until(lambda: len(hub.ledger.of("boiler")) == 5)
        assert (await shell.run("status", "--json")).json()["running"] is True
        shown = await shell.run("status")
        assert "running, process" in shown.out
        assert "boiler" in shown.out
    rest = await shell.run("status")
    assert "not running; last seen 2" in rest.out
    assert "boiler" in rest.out


async def test_the_installed_command_runs_until_it_is_told_to_stop(shell: Shell) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(COMMAND, "run", cwd=shell.folder, stdout=pipe, stderr=pipe)
    await until((shell.folder / "state" / "status.json").exists)
    second = await shell.run("append", "boiler", stdin=ndjson(1))
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()
    assert (second.code, process.returncode, b"Traceback" in err) == (0, 0, False)
    lines = out.decode().splitlines()
    assert lines[0].startswith("control ")
    assert lines[1].startswith("link: none")
    assert lines[-1] == "stopped"


async def test_a_parcel_travels_as_a_file(shell: Shell, hub: HubStub) -> None:
    await shell.run("enrol", hub.token())
    await shell.run("append", "boiler", stdin=ndjson(5))
    exported = await shell.run("export", "out.parcel")
    assert (exported.code, exported.out.startswith("out.parcel: 1 batch(es)")) == (0, True)
    (shell.folder / "ack").write_bytes(hub.receive((shell.folder / "out.parcel").read_bytes(), "ship-1"))
    settled = await shell.run("import-ack", "ack", "--json")
    assert settled.code == 0
    assert json.loads(settled.out)[0]["acknowledged_records"] == 5
    assert len(hub.ledger.of("boiler")) == 5


async def test_a_running_agent_exports_and_imports_for_the_command(shell: Shell, hub: HubStub) -> None:
    await shell.run("enrol", hub.token())
    await hub.cut_link()
    async with Agent.started(settings_in(shell.folder), forward=True):
        await shell.run("append", "boiler", stdin=ndjson(5))
        assert (await shell.run("export", "out.parcel")).code == 0
        (shell.folder / "ack").write_bytes(hub.receive((shell.folder / "out.parcel").read_bytes(), "ship-1"))
        settled = await shell.run("import-ack", "ack")
        assert "5 more record(s)" in settled.out
        bad = await shell.run("import-ack", "farshore-agent.toml")
        assert bad.code != 0
        assert bad.err.startswith("error: ")


async def test_what_the_hub_has_is_sent_once_more_and_stored_once(shell: Shell, hub: HubStub) -> None:
    await shell.run("enrol", hub.token())
    async with Agent.started(settings_in(shell.folder), forward=True) as agent:
        await agent.append("boiler", records(5))
        await agent.flush()
        again = await shell.run("resend", "--json")
        assert json.loads(again.out) == {"batches": 1, "records": 5}
        await agent.flush()
    assert len(hub.ledger.of("boiler")) == 5
    assert (await shell.run("resend", "pump")).out.startswith("0 batch(es)")
    assert (await shell.run("resend", "No Stream")).code == 2


@pytest.mark.parametrize("running", [False, True])
async def test_refused_records_are_named_and_the_others_kept(shell: Shell, running: bool) -> None:
    lines = ndjson(2) + '{"temperature": 1}\n' + "not JSON\n"

    async def append() -> None:
        ended = await shell.run("append", "boiler", stdin=lines)
        assert ended.code == 7
        assert "boiler: 2 stored, 2 refused" in ended.out
        assert "line 3" in ended.err
        assert "line 4" in ended.err

    if running:
        async with Agent.started(settings_in(shell.folder), forward=True):
            await append()
    else:
        await append()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("export", "x"), 4, "farshore-agent enrol"),
        (("enrol", "nonsense"), 2, "join token"),
        (("append", "Boiler!"), 2, "stream"),
        (("append", "a/b"), 2, "'a/b' is not a stream name"),
        (("--config", "missing.toml", "status"), 3, "missing.toml"),
        (("nonsense",), 2, "nonsense"),
        (("import-ack", "missing"), 2, "missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_errors_have_a_code_and_a_remedy(shell: Shell, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended = await shell.run(*arguments, stdin=ndjson(1))
    assert (ended.code, "Traceback" in ended.err) == (code, False)
    assert said in ended.err


async def test_who_has_joined_does_not_join_again_unless_forced(shell: Shell, hub: HubStub) -> None:
    await shell.run("enrol", hub.token())
    again = await shell.run("enrol", hub.token())
    assert (again.code, "--force" in again.err) == (2, True)
    assert (await shell.run("enrol", hub.token(), "--force")).code == 0


async def test_what_is_sealed_for_one_site_is_not_left_to_another(shell: Shell, hub: HubStub) -> None:
    await shell.run("enrol", hub.token())
    await shell.run("append", "boiler", stdin=ndjson(1))
    await shell.run("export", "out.parcel")
    other = await shell.run("enrol", hub.token("ship-2"), "--force")
    assert (other.code, "ship-1" in other.err) == (2, True)


async def test_a_second_agent_does_not_start(shell: Shell) -> None:
    async with Agent.started(settings_in(shell.folder), forward=False):
        second = await shell.run("export", "x")
    assert (second.code, str(os.getpid()) in second.err) == (1, True)


async def test_check_shows_every_problem_at_once(shell: Shell) -> None:
    (shell.folder / "bad.toml").write_text('state_dir = 5\n[seal]\nlinger = "soon"\n')
    shown = await shell.run("check", "bad.toml")
    assert (shown.code, "seal.linger" in shown.err, "state_dir" in shown.err) == (3, True, True)
    told = await shell.run("check", "bad.toml", "--json")
    assert (told.code, told.json()["valid"], len(told.json()["problems"])) == (3, False, 2)  # type: ignore[arg-type]
    assert (await shell.run("check", "--json")).json()["valid"] is True


async def test_the_schema_is_for_editors(shell: Shell) -> None:
    schema = (await shell.run("schema")).json()
    assert "state_dir" in schema["properties"]  # type: ignore[operator]


async def test_the_version_and_the_help_load_nothing_heavy(shell: Shell) -> None:
    assert (await shell.run("--version")).out.startswith("farshore-agent 0.")
    probe = "import sys, farshore_agent.cli; print([m for m in ('pydantic', 'asyncio', 'apsw') if m in sys.modules])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", probe, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"
    assert "Exit codes" in (await shell.run("--help")).out


async def test_a_command_runs_after_the_module_of_run_was_loaded(shell: Shell) -> None:
    importlib.import_module("farshore_agent.cli.run")  # as whoever lists all commands does
    assert (await shell.run("schema")).code == 0


async def test_the_settings_in_force_are_shown_with_their_origin_and_a_support_bundle_is_written_at_rest(
    shell: Shell, hub: HubStub
) -> None:
    assert (await shell.run("enrol", hub.token())).code == 0
    pushed = Pushed(7, 3, "[seal]\nmax_records = 77\n")
    save(shell.folder / "state", State(hub.name, "ship-1", kept=pushed, settings_number=7))
    shown = (await shell.run("settings", "show", "--origin")).out.splitlines()
    assert {line.split(" = ")[0]: line.split()[-1] for line in shown}["seal.max_records"] == "hub"
    assert "revision 3 fit over it" in (await shell.run("check")).out
    written = await shell.run("support-bundle", "site.zip")
    assert written.code == 0, written.err
    with zipfile.ZipFile(shell.folder / "site.zip") as archive:
        found = {each["key"]: each for each in json.loads(archive.read("settings.json"))}
        assert json.loads(archive.read("versions.json"))["farshore-agent"]
    assert found["seal.max_records"] == {"key": "seal.max_records", "value": 77, "origin": "hub"}
    (shell.folder / "farshore-agent.toml").write_text(QUICK + "[orders]\naccept = []\n")
    assert "does not let its hub change it" in (await shell.run("check")).out
    assert (await shell.run("support-bundle", "/nowhere/site.zip")).code == 1
